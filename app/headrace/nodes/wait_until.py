"""waitUntil: parks the task until a time, or until a condition holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import BadExpression, Problem
from headrace.graph.expressions import evaluate, truthy
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome, Waiting
from headrace.graph.settings import Seconds
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.predicates import rule_problems
from headrace.nodes.waits import DONE, TIMEOUT, Patience, TimedOut, Timeout, give_up, received

_LONGEST_SECONDS = 7_000 * 366 * 86_400
"""Later than that, calendars end."""


class WaitUntilConfig(Config):
    """A time or a condition."""

    time: str = Field(
        default="",
        validation_alias=AliasChoices("time", "until", "targetTime", "target_time"),
        description="ISO 8601, as `2026-12-24T18:00:00+01:00`, or UTC; `{{ path }}` is filled in.",
    )
    condition: AnyJson = Field(
        default=None,
        description="json-logic over `input`, `run`, `vars` (of the run) and `signal`, instead of a time. It"
        " is looked at again at once when a variable of the run changes.",
    )
    every: Seconds = Field(
        default=30.0,
        ge=1,
        description="How often the condition is looked at, when nothing else lets it look.",
    )
    signal: str = Field(
        default="",
        max_length=200,
        description="A signal of this name lets it look at once; its payload is `signal` in the condition.",
    )
    timeout: Timeout = Field(
        default=None, description="How long the condition may take, in seconds or as `1h`; else for ever."
    )


class WaitUntil(NodeType[WaitUntilConfig]):
    """Passes its input on. It goes out-done, or out-timeout where that is drawn."""

    type = "waitUntil"
    aliases = ("wait_until",)
    group = "Waits & People"
    description = "Waits until a time, or until a condition holds, then passes its input on."
    branching = True
    watches_variables = True
    config_model = WaitUntilConfig

    def branches(self, config: WaitUntilConfig) -> tuple[str, ...]:
        return (DONE,) if config.condition is None else (DONE, TIMEOUT)

    def check(self, config: WaitUntilConfig) -> Iterable[Problem]:
        if config.time and config.condition is not None:
            yield Problem("time", "there may be a time or a condition, not both")
        yield from rule_problems(config.condition, "condition")

    async def start(self, context: NodeContext, config: WaitUntilConfig) -> Outcome:
        if config.condition is not None:
            return await _look(context, config)
        text = context.render(config.time).strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return Failed(f"time: '{text}' is not ISO 8601", kind="InvalidConfig", retryable=False)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        context.say("wait", f"Waiting until {moment.isoformat()}")
        seconds = (moment - datetime.now(UTC)).total_seconds()
        if seconds > _LONGEST_SECONDS:
            return Failed(f"time: {text} is too far away", kind="InvalidConfig", retryable=False)
        return Waiting(seconds, "timer") if seconds > 0 else _met(context)

    async def resume(self, context: NodeContext, config: WaitUntilConfig) -> Outcome:
        return _met(context) if config.condition is None else await _look(context, config)


def _met(context: NodeContext) -> Done:
    return Done(context.input, frozenset({DONE}))


async def _look(context: NodeContext, config: WaitUntilConfig) -> Outcome:
    try:
        is_met = truthy(evaluate(config.condition, await _seen(context, config.condition)))
    except BadExpression as error:
        return Failed(f"condition: {error.message}", kind=error.code, retryable=False)
    if is_met:
        return _met(context)
    pause = Patience.of(context).pause(config.every, config.timeout)
    if pause is None:
        message = "the condition did not come true in time"
        return give_up(context, TimedOut("ConditionTimeout", message, {"timedOut": True}))
    return Waiting(pause.seconds, "condition", signal=config.signal or None, memory=pause.memory())


async def _seen(context: NodeContext, condition: JsonValue) -> JsonObject:
    """What the condition is about, with the run's variables as they are now."""
    signal = received(context)
    read = {name: await context.variables.read("run", name) for name in sorted(set(_variables(condition)))}
    return {
        **context.scope.names,
        "input": context.input,
        # What was never set is missing, so that a rule's own default counts.
        "vars": {name: value for name, value in read.items() if value is not None},
        "signal": signal.payload if signal else None,
    }


def _variables(rule: JsonValue) -> Iterator[str]:
    """The names of the variables that a rule asks for: `x` of `{"var": "vars.x.y"}`."""
    match rule:
        case {"var": str() as path} | {"var": [str() as path, *_]} if path.startswith("vars."):
            yield path.split(".")[1]
        case dict():
            for part in rule.values():
                yield from _variables(part)
        case list():
            for part in rule:
                yield from _variables(part)
