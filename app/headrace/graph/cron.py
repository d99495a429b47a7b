"""Cron expressions in a time zone: when they come next, also on days whose clock jumps.

The calendar (which dates) is croniter's. The clock is ours, for here libraries differ and rarely say how:

- An expression that names hours (`30 2 * * *`) means times of the wall clock, each at most once a date. A
  time that the spring's jump leaves out comes at the moment of the jump; one that the autumn's jump repeats
  comes at its first occurrence.
- One with `*` or `*/n` for the hour (`*/15 * * * *`) means the pace of time: what is left out does not come,
  what is repeated comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Final

from croniter import CroniterError, croniter

from headrace.errors import InvalidInput, Problem

_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# croniter also knows H and R: values that it draws from a hash, or at random.
_ALLOWED: Final = {
    "minute": "0-59",
    "hour": "0-23",
    "day": "1-31, or L for the last",
    "month": "1-12 or jan-dec",
    "weekday": "0-7 or sun-sat (0 and 7 are Sunday), sun#2 for the second, L5 for the last Friday",
    "second": "0-59",
}
"""What each field may name, in the order in which croniter wants them."""

_FIELD: Final = re.compile(r"[0-9a-z*?/,#-]+")
_DRAWN: Final = re.compile(r"(?:^|,)[hr](?:\b|\()")
_HOUR: Final = timedelta(hours=1)
_JUMP: Final = timedelta(hours=4)
"""More than any clock jumps in our days."""

_LONGEST = 100
_SOME_LEAP_YEAR: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # a date of a calendar, in no zone


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. dates: its day, month and weekday. is_paced: it has no hours of its own."""

    text: str
    dates: str
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    is_paced: bool


def parse_cron(text: str) -> Cron:
    """Reads `minute hour day month weekday`, with seconds first if there are six fields, or `@daily`.

    Raises InvalidInput that says what is wrong, also for an expression that never comes (`0 0 31 2 *`).
    """
    second, minute, hour, *dates = _fields(text)
    wrong = [*_wrong_fields([minute, hour, *dates, second])]
    if wrong:
        raise InvalidInput("The schedule is not valid", wrong)
    try:
        values, _ = croniter.expand(" ".join([minute, hour, *dates, second]))
        cron = Cron(
            text=text.strip(),
            dates=" ".join(["0 0", *dates]),
            minutes=_numbers(values[0], 60),
            hours=_numbers(values[1], 24),
            seconds=_numbers(values[5], 60),
            is_paced=hour.startswith("*"),
        )
        next(_dates(cron, _SOME_LEAP_YEAR))
    except CroniterError as error:
        raise _wrong(f"'{text}' is no cron expression") from error
    except StopIteration:
        raise _wrong(f"'{text}' never comes: no date has this day, month and weekday") from None
    return cron


def _fields(text: str) -> list[str]:
    """The six fields, seconds first."""
    shown, aliases = text[:_LONGEST].strip(), ", ".join(_ALIASES)
    if shown.startswith("@") and shown.lower() not in _ALIASES:
        raise _wrong(f"'{shown}' is no cron expression", f"known: {aliases}")
    fields = _ALIASES.get(shown.lower(), text).lower().split()
    if len(fields) not in (5, 6) or len(text) > _LONGEST:
        hint = "minute hour day month weekday, or with seconds first; as `30 9 * * mon-fri`, or `@daily`"
        raise _wrong(f"'{shown}' is no cron expression: it has {len(fields)} fields", hint)
    return fields if len(fields) == 6 else ["0", *fields]


def _wrong_fields(fields: list[str]) -> Iterator[Problem]:
    for at, (name, allowed) in enumerate(_ALLOWED.items()):
        field = fields[at]
        if not _may_be(field, at):
            shape = "" if "*" in field else "; also `*`, `*/5`, `1-5`, `1,5`"
            yield Problem("cron", f"'{field}' is no {name}", f"{name}: {allowed}{shape}")


def _may_be(field: str, at: int) -> bool:
    """Whether croniter takes the field at this place, whatever the others are."""
    if not _FIELD.fullmatch(field) or _DRAWN.search(field):
        return False
    others = ["*"] * len(_ALLOWED)
    others[at] = field
    try:
        croniter.expand(" ".join(others))
    except CroniterError:
        return False
    return True


def slots(cron: Cron, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """The moments after `after` at which it comes, in UTC and in order; without end, for most expressions."""
    last, wall = after, after.astimezone(zone).replace(tzinfo=None)
    around: set[datetime] = set()
    for hour in _hours(cron, wall - _JUMP):
        if not _is_steady(zone, hour):
            # Near a jump, what comes earlier on the clock may come later in time: gather, then sort.
            around.update(_moments(cron, zone, hour))
            continue
        if hour + _HOUR <= wall and not around:
            continue
        ready = [*sorted(around), *_moments(cron, zone, hour)]
        around.clear()
        for moment in ready:
            if moment > last:
                last = moment
                yield moment
    yield from (moment for moment in sorted(around) if moment > last)


def next_slots(cron: Cron, zone: tzinfo, after: datetime, count: int) -> list[datetime]:
    """The first `count` moments after `after`, in UTC; fewer if there are no more."""
    return list(islice(slots(cron, zone, after), count))


def next_slot(cron: Cron, zone: tzinfo, after: datetime) -> datetime | None:
    """The first moment after `after`, in UTC."""
    return next(slots(cron, zone, after), None)


def _wrong(message: str, hint: str = "") -> InvalidInput:
    return InvalidInput("The schedule is not valid", [Problem("cron", message, hint)])


def _numbers(values: list[int | str], limit: int) -> tuple[int, ...]:
    return tuple(range(limit)) if "*" in values else tuple(sorted({int(value) for value in values}))


def _dates(cron: Cron, start: datetime) -> Iterator[datetime]:
    """The midnights, from `start` on, of the dates at which it comes. No zone: this is the calendar."""
    calendar = croniter(cron.dates, start - timedelta(seconds=1), ret_type=datetime)
    try:
        while True:
            date: datetime = calendar.get_next()
            yield date
    except (ValueError, OverflowError):  # no date for fifty years, or the end of the calendar
        return


def _hours(cron: Cron, start: datetime) -> Iterator[datetime]:
    """Each hour of the wall clock in which it comes, from a while before `start` on."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    for date in _dates(cron, midnight):
        for hour in cron.hours:
            if date + timedelta(hours=hour) > start - _HOUR:
                yield date + timedelta(hours=hour)


def _is_steady(zone: tzinfo, hour: datetime) -> bool:
    """Whether no clock jumps for some hours before and after this one."""
    before, after = hour - _JUMP, hour + _HOUR + _JUMP
    return before.replace(tzinfo=zone).utcoffset() == after.replace(tzinfo=zone).utcoffset()


def _moments(cron: Cron, zone: tzinfo, hour: datetime) -> Iterator[datetime]:
    """When it comes in one hour of the wall clock; in order, unless the clock jumps nearby."""
    for minute in cron.minutes:
        for second in cron.seconds:
            wall = hour.replace(minute=minute, second=second, tzinfo=zone)
            first, again = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
            is_left_out = first > again
            if not is_left_out:
                yield first
                if cron.is_paced and again != first:
                    yield again
            elif not cron.is_paced:
                yield _jump_between(zone, again, first)


def _jump_between(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The second at which the zone's clock jumps."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
