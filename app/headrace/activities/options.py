"""The options of `worker_task`, and what they make of a node's defaults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, TypedDict

from pydantic import Field, ValidationError

from headrace.activities.errors import BadDeclaration, UnknownOption
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.settings import Concurrency, Rate, Retry, Strict, Timeouts

Duration: TypeAlias = float | str
"""Seconds, or text as `30s`, `5 minutes`, `1h`."""

Kinds: TypeAlias = type[BaseException] | str | Iterable[type[BaseException] | str]
"""Exceptions, by their classes or their names."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d+(?:\.\d+)?\s*)?([a-z]+)\s*")


class Options(TypedDict, total=False):
    """What `worker_task` may be told. Each is a default of the node, whose own settings win.

    timeout: of one attempt. total_timeout: of all attempts with the waits between them. retries: attempts
    after the first. retry_delay, backoff, max_delay: how long the waits between attempts are. retry_on: only
    failures of these kinds are retried. no_retry_on: failures of these kinds never are. concurrency: so many
    at once, over all workers. rate: as `10/s`, over all workers. isolated: in a process of its own.
    error_key: a returned object that has something under this key is a failure.
    """

    name: str
    task_definition_name: str
    description: str
    timeout: Duration
    total_timeout: Duration
    retries: int
    retry_delay: Duration
    backoff: Literal["none", "fixed", "linear", "exponential"]
    max_delay: Duration
    retry_on: Kinds
    no_retry_on: Kinds
    concurrency: int | Mapping[str, JsonValue]
    rate: str | Mapping[str, JsonValue]
    isolated: bool
    error_key: str


class Defaults(Strict):
    """What an activity's nodes have where they say nothing themselves."""

    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    isolated: bool = False
    error_key: str = Field("", max_length=200)

    def as_json(self) -> JsonObject:
        """Only what was said."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def require_known(options: Iterable[str]) -> None:
    """Raises UnknownOption, which names the options that there are."""
    known = Options.__annotations__.keys()
    if unknown := [name for name in options if name not in known]:
        raise UnknownOption(f"worker_task has no option '{unknown[0]}'; it knows {', '.join(sorted(known))}")


def name_of(options: Options, fallback: str) -> str:
    """The activity's name. Raises BadDeclaration for one that is none."""
    name = options.get("name") or options.get("task_definition_name") or fallback
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadDeclaration(
            f"'{name}' is no name for an activity: letters, digits and _ . : -, at most 64, a letter first"
        )
    return name


def defaults_of(name: str, options: Options) -> Defaults:
    """Reads the options of an activity; raises BadDeclaration for values that cannot be."""
    settings = {
        "retry": _retry(options),
        "timeouts": _present(attempt=options.get("timeout"), total=options.get("total_timeout")),
        "concurrency": _keyed(name, _concurrency(options.get("concurrency"))),
        "rate": _keyed(name, _rate(options.get("rate"))),
        "isolated": options.get("isolated"),
        "errorKey": options.get("error_key"),
    }
    try:
        return Defaults.model_validate({key: value for key, value in settings.items() if value})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadDeclaration(f"activity '{name}': {place}: {first['msg']}") from None


def kinds_of(given: Kinds | None) -> tuple[str, ...]:
    """The names of exceptions."""
    return tuple(one if isinstance(one, str) else one.__name__ for one in _listed(given))


def classes_of(given: Kinds | None) -> tuple[type[BaseException], ...]:
    """Those exceptions that were given by their classes."""
    return tuple(one for one in _listed(given) if not isinstance(one, str))


def _listed(given: Kinds | None) -> tuple[type[BaseException] | str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str | type) else tuple(given)


def _retry(options: Options) -> dict[str, object]:
    retries = options.get("retries")
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise BadDeclaration(f"retries is a number from 0 on, it cannot be {retries!r}")
    return _present(
        maxAttempts=None if retries is None else retries + 1,
        initial=options.get("retry_delay"),
        strategy=options.get("backoff"),
        max=options.get("max_delay"),
        retryOn=list(kinds_of(options.get("retry_on"))) or None,
        noRetryOn=list(kinds_of(options.get("no_retry_on"))) or None,
    )


def _present(**settings: object) -> dict[str, object]:
    return {key: value for key, value in settings.items() if value is not None}


def _concurrency(given: int | Mapping[str, JsonValue] | None) -> object:
    return {"limit": given} if isinstance(given, int) else given


def _rate(given: str | Mapping[str, JsonValue] | None) -> object:
    """`10/s`, `100/5m`, `1/2 seconds`; or the settings of a node's rate."""
    if not isinstance(given, str):
        return given
    match = _RATE.fullmatch(given)
    if match is None:
        raise BadDeclaration(f"'{given}' is no rate: write it as '10/s' or '100/5m'")
    return {"count": int(match[1]), "per": f"{(match[2] or '1').strip()}{match[3]}"}


def _keyed(name: str, settings: object) -> object:
    """One key for all nodes that run the activity, unless it says otherwise."""
    if not isinstance(settings, Mapping):
        return settings
    return {"key": f"activity {name}", **settings}
