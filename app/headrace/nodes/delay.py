"""delay: parks the task for a while. No worker and no job is held meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, WithJsonSchema

from headrace.errors import Problem
from headrace.graph.outcome import Done, Failed, Outcome, Waiting
from headrace.nodes.base import Config, NodeContext, NodeType

_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
_LONGEST_DAYS = 366
# Clients also save numbers as text.
_SHOWN_AS_NUMBER = WithJsonSchema({"type": "number", "minimum": 0})


class DelayConfig(Config):
    """How long to wait."""

    delay_type: str = Field(
        default="seconds",
        description="The unit of delayValue; an unknown one means seconds.",
        json_schema_extra={"enum": list(_SECONDS)},
    )
    delay_value: Annotated[float | str | None, _SHOWN_AS_NUMBER] = Field(
        default=None, description="How many units to wait. Without it, delayMs counts.", examples=[5]
    )
    delay_ms: Annotated[float | str, _SHOWN_AS_NUMBER] = Field(
        default=5000.0, description="How many milliseconds to wait, without delayValue."
    )


class Delay(NodeType[DelayConfig]):
    """Waits, then passes its input on."""

    type = "delay"
    group = "Actions"
    description = "Waits for a while, then passes its input on."
    config_model = DelayConfig

    def check(self, config: DelayConfig) -> Iterable[Problem]:
        problem = _length(config)
        return [problem] if isinstance(problem, Problem) else []

    async def start(self, context: NodeContext, config: DelayConfig) -> Outcome:
        seconds = _length(config)
        if isinstance(seconds, Problem):
            return Failed(f"{seconds.path}: {seconds.message}", kind="InvalidConfig", retryable=False)
        context.say("delay", f"Delay scheduled: {in_words(seconds)}")
        return Waiting(seconds, "timer") if seconds > 0 else Done(context.input)

    async def resume(self, context: NodeContext, config: DelayConfig) -> Outcome:  # noqa: ARG002
        return Done(context.input)


def in_words(seconds: float) -> str:
    """A length in its largest full unit: 90 s is `1 minute(s)`."""
    unit = next((unit for unit in reversed(_SECONDS) if seconds >= _SECONDS[unit]), "seconds")
    return f"{math.floor(seconds / _SECONDS[unit])} {unit.removesuffix('s')}(s)"


def _length(config: DelayConfig) -> float | Problem:
    """The delay in seconds, or what is wrong with it."""
    given = config.delay_value
    if given is None or given == "":
        return _seconds("delayMs", config.delay_ms, 0.001)
    return _seconds("delayValue", given, _SECONDS.get(config.delay_type, 1))


def _seconds(path: str, value: float | str, unit: float) -> float | Problem:
    try:
        seconds = float(value) * unit
    except ValueError:
        return Problem(path, f"'{value}' is not a number")
    if math.isnan(seconds) or seconds < 0:
        return Problem(path, f"{value} is not a length of time", "0 or more")
    if seconds > _LONGEST_DAYS * _SECONDS["days"]:
        return Problem(path, f"the delay is longer than {_LONGEST_DAYS} days")
    return seconds
