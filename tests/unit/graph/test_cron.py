"""When cron expressions come, above all on the days whose clock jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.errors import InvalidInput
from headrace.graph.cron import next_slot, next_slots, parse_cron

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
SPRING = datetime(2026, 3, 29, tzinfo=BERLIN)  # 02:00 -> 03:00
AUTUMN = datetime(2026, 10, 25, tzinfo=BERLIN)  # 03:00 -> 02:00
ZONES = [BERLIN, LORD_HOWE, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")]


def day(text: str, start: datetime) -> list[str]:
    """When it comes on the date of `start`, by the clock of its zone; `+` where it shows summer time."""
    zone = start.tzinfo
    assert zone is not None
    found = []
    for moment in next_slots(parse_cron(text), zone, start - timedelta(seconds=1), 2_000):
        local = moment.astimezone(zone)
        if local.date() != start.date():
            break
        found.append(f"{local:%H:%M}" + ("+" if local.dst() else ""))
    return found


def test_a_named_time_that_the_spring_leaves_out_comes_when_the_clock_jumps() -> None:
    assert day("30 2 * * *", SPRING) == ["03:00+"]
    assert day("*/20 2 * * *", SPRING) == ["03:00+"]
    assert day("0,30 1-3 * * *", SPRING) == ["01:00", "01:30", "03:00+", "03:30+"]


def test_a_named_time_that_the_autumn_repeats_comes_the_first_time() -> None:
    assert day("30 2 * * *", AUTUMN) == ["02:30+"]
    assert day("0,30 1-3 * * *", AUTUMN) == ["01:00+", "01:30+", "02:00+", "02:30+", "03:00", "03:30"]


def test_what_has_no_hours_goes_on_at_its_pace() -> None:
    assert day("30 * * * *", SPRING)[:3] == ["00:30", "01:30", "03:30+"]
    assert day("30 * * * *", AUTUMN)[1:5] == ["01:30+", "02:30+", "02:30", "03:30"]
    assert len(day("*/15 * * * *", SPRING)) == 23 * 4
    assert len(day("*/15 * * * *", AUTUMN)) == 25 * 4


def test_half_an_hour_is_a_jump_too() -> None:
    spring = datetime(2026, 10, 4, tzinfo=LORD_HOWE)  # 02:00 -> 02:30
    assert day("15 2 * * *", spring) == ["02:30+"]
    autumn = datetime(2026, 4, 5, tzinfo=LORD_HOWE)  # 02:00 -> 01:30
    assert day("45 * * * *", autumn)[:4] == ["00:45+", "01:45+", "01:45", "02:45"]


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 L * *", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("0 9 * * mon#1", ["2026-01-05T09:00", "2026-02-02T09:00"]),
        ("0 0 13 * fri", ["2026-01-02T00:00", "2026-01-09T00:00"]),
        ("0 12 * * 7", ["2026-01-04T12:00", "2026-01-11T12:00"]),
        ("@monthly", ["2026-02-01T00:00", "2026-03-01T00:00"]),
        ("30 15 10 * * *", ["2026-01-01T10:15:30", "2026-01-02T10:15:30"]),
    ],
)
def test_the_calendar(text: str, moments: list[str]) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    wanted = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in moments]
    assert next_slots(parse_cron(text), UTC, start, 2) == wanted


NONSENSE = [
    *("", "* * * *", "60 * * * *", "* 24 * * *", "0 0 31 2 *", "@reboot", "@every 5m", "0 " * 60),
    *("R * * * *", "H H * * *", "1,r * * * *", "*/0 * * * *", "5-1-2 * * * *", "0 0 * * mon#9", "ä * * * *"),
    "0 0 1 1 * 2030 0",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_cron(text)
    assert {problem.path for problem in raised.value.problems} == {"cron"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61 * * * *", [("'61' is no minute", "minute: 0-59; also `*`, `*/5`, `1-5`, `1,5`")]),
        ("*/0 * * * *", [("'*/0' is no minute", "minute: 0-59")]),
        ("99 * * * * *", [("'99' is no second", "second: 0-59; also `*`, `*/5`, `1-5`, `1,5`")]),
        (
            "0 24 0 foo *",
            [
                ("'24' is no hour", "hour: 0-23; also `*`, `*/5`, `1-5`, `1,5`"),
                ("'0' is no day", "day: 1-31, or L for the last; also `*`, `*/5`, `1-5`, `1,5`"),
                ("'foo' is no month", "month: 1-12 or jan-dec; also `*`, `*/5`, `1-5`, `1,5`"),
            ],
        ),
        (
            "* * * *",
            [
                (
                    "'* * * *' is no cron expression: it has 4 fields",
                    "minute hour day month weekday, or with seconds first;"
                    " as `30 9 * * mon-fri`, or `@daily`",
                )
            ],
        ),
        (
            "@often",
            [
                (
                    "'@often' is no cron expression",
                    "known: @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly",
                )
            ],
        ),
        ("0 0 31 2 *", [("'0 0 31 2 *' never comes: no date has this day, month and weekday", "")]),
    ],
)
def test_what_is_wrong_is_said_field_by_field(text: str, said: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_cron(text)
    assert [(problem.message, problem.hint) for problem in raised.value.problems] == said


def test_an_expression_may_come_to_an_end() -> None:
    assert next_slot(parse_cron("0 0 1 1 *"), UTC, datetime(9999, 6, 1, tzinfo=UTC)) is None


@given(st.text("0123456789*/,-#?LWhrmonfri @", max_size=20))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        cron = parse_cron(text)
    except InvalidInput:
        return
    moments = next_slots(cron, UTC, datetime(2026, 1, 1, tzinfo=UTC), 3)
    assert moments == sorted(set(moments))


FIELD = st.sampled_from(["*", "*/2", "*/7", "0", "30", "1,2,3", "2-3", "2"])
INSTANT = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.sampled_from(ZONES), FIELD, st.sampled_from(["*", "*/2", "1,2,3", "2", "1-4"]), INSTANT)
@example(BERLIN, "*", "*", SPRING.astimezone(UTC))
@example(BERLIN, "*/7", "1-4", AUTUMN.astimezone(UTC))
def test_asking_one_by_one_gives_the_same_as_asking_at_once(
    zone: ZoneInfo, minute: str, hour: str, start: datetime
) -> None:
    cron = parse_cron(f"{minute} {hour} * * *")
    at_once = next_slots(cron, zone, start, 12)
    one_by_one = [start]
    for _ in at_once:
        found = next_slot(cron, zone, one_by_one[-1])
        assert found is not None
        one_by_one.append(found)
    assert one_by_one[1:] == at_once
    assert all(before < after for before, after in pairwise(one_by_one))


@given(st.sampled_from(ZONES), st.sampled_from(["*", "*/7", "3,41"]), INSTANT)
@example(BERLIN, "*", SPRING.astimezone(UTC))
@example(BERLIN, "3,41", AUTUMN.astimezone(UTC))
@example(LORD_HOWE, "*/7", datetime(2026, 4, 4, 14, tzinfo=UTC))
def test_at_its_pace_it_comes_whenever_the_clock_shows_it(
    zone: ZoneInfo, minute: str, start: datetime
) -> None:
    """Against the definition: every minute of some hours, looked at one by one."""
    cron = parse_cron(f"{minute} * * * *")
    first = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    minutes = [first + timedelta(minutes=number) for number in range(6 * 60)]
    shown = [moment for moment in minutes if moment.astimezone(zone).minute in cron.minutes]
    assert next_slots(cron, zone, start, len(shown)) == shown
