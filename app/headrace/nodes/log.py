"""log: writes a line into the run's log."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill, fill_text
from headrace.nodes.json_text import stringify

Level: TypeAlias = Literal["debug", "info", "warn", "error"]

MAX_DATA = 10_000


def _by_one_name(value: object) -> object:
    name = value.lower() if isinstance(value, str) else value
    return "warn" if name == "warning" else name


class LogConfig(Config):
    """What to write."""

    level: Annotated[Level, BeforeValidator(_by_one_name)] = Field(
        default="info", description="How much it matters."
    )
    message: str = Field(
        default="",
        description="The text; `{{ path }}` and `${ path }` are filled in.",
        json_schema_extra={"format": "textarea"},
    )
    data: AnyJson = Field(
        default=None, description="Written behind the text, as JSON; strings may hold `${ path }`."
    )


class Log(NodeType[LogConfig]):
    """Passes its input on; its line says `[LEVEL] message`."""

    type = "log"
    aliases = ("logMessage",)
    group = "Actions"
    description = "Writes a line with a level into the run's log."
    is_instant = True
    config_model = LogConfig

    async def start(self, context: NodeContext, config: LogConfig) -> Outcome:
        try:
            message, data = fill_text(context, config.message), fill(context, config.data)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        shown = "" if config.data is None else f"\n{_cut(stringify(data))}"
        type = "error" if config.level == "error" else "info"
        context.say(config.level, f"[{config.level.upper()}] {message}{shown}", type=type)
        return Done(context.input)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_DATA else f"{text[:MAX_DATA]}…"
