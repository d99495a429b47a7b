"""map: the same part of a workflow for each item of a list, many at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, WithJsonSchema
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Child, Done, Failed, Outcome, Spawned
from headrace.graph.template import resolve
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.children import Answer, child_failed, read_answers

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_NUMBER_OR_SHARE = WithJsonSchema({"type": ["integer", "string"], "examples": [3, "10%"]})
_WARNINGS = 20


class MapConfig(Config):
    """The items, what is done with each, and how many at once."""

    items: AnyJson = Field(
        default=[],
        description="A list, or `${ path }` of one.",
        examples=["${orders}"],
    )
    body: AnyJson = Field(
        default=None,
        description="What is done with each item: one node, or a graph `{nodes, edges}`. In its templates"
        " `item`, `index` and the names of `inputs` can be used.",
        json_schema_extra={"type": "object"},
    )
    inputs: dict[str, AnyJson] = Field(
        default={}, description="More names for the body, by name; `${ path }` is filled in."
    )
    max_concurrency: int = Field(default=10, ge=1, le=1_000, description="How many items run at once.")
    max_items: int = Field(
        default=1_000, ge=1, le=10_000, description="With more items than this, the node fails."
    )
    tolerate: Annotated[int | str, _NUMBER_OR_SHARE] = Field(
        default=0,
        validation_alias=AliasChoices("tolerate", "tolerance"),
        description="How many items may fail: a number, or a share as `10%`.",
    )
    results: Literal["outputs", "details"] = Field(
        default="outputs",
        description="What the output lists: each item's output (null for one that failed), or of each"
        " `{index, status, output, error, runId}`.",
    )


class MapItems(NodeType[MapConfig]):
    """Runs its body once for each item; its output is the list of their outputs, in the items' order."""

    type = "map"
    group = "Logic & Control"
    description = (
        "Does the same with each item of a list, several at once, and collects the results in order."
    )
    aliases = ("forEach",)
    has_body = True
    config_model = MapConfig

    def check(self, config: MapConfig) -> Iterable[Problem]:
        if not isinstance(config.items, list | str):
            yield Problem("items", "is neither a list nor the path of one", "as `${orders}`")
        if isinstance(config.items, str) and "${" not in config.items:
            yield Problem("items", f"'{config.items}' is no list nor the path of one", "as `${orders}`")
        if isinstance(config.items, list) and len(config.items) > config.max_items:
            message = f"{len(config.items)} items are more than maxItems, {config.max_items}"
            yield Problem("items", message, "raise `maxItems`")
        if tolerated(config.tolerate, 1) is None:
            yield Problem("tolerate", f"'{config.tolerate}' is no number and no share", "as 3 or `10%`")

    async def start(self, context: NodeContext, config: MapConfig) -> Outcome:
        items = resolve(config.items, context.scope)
        if not isinstance(items, list):
            message = f"the items are no list but {_kind_of(items)}"
            return Failed(message, kind="InvalidItems", retryable=False)
        if len(items) > config.max_items:
            message = f"{len(items)} items are more than maxItems, {config.max_items}"
            return Failed(message, kind="TooManyItems", retryable=False)
        if not items:
            return Done([])
        given = resolve(config.inputs, context.scope)
        named: JsonObject = given if isinstance(given, dict) else {}
        context.say("map", f"Items: {len(items)}")
        return Spawned(
            [Child(index, {**named, "item": item, "index": index}) for index, item in enumerate(items)],
            at_once=config.max_concurrency,
            tolerated=tolerated(config.tolerate, len(items)) or 0,
        )

    async def resume(self, context: NodeContext, config: MapConfig) -> Outcome:
        answers = read_answers(context.wake)
        if answers is None:
            return Failed("the items did not end in time", kind="Timeout", retryable=False)
        failed = [one for one in answers if not one.is_well]
        if len(failed) > (tolerated(config.tolerate, len(answers)) or 0):
            culprit = next((one for one in failed if one.status == "failed"), failed[0])
            counted = f"{len(failed)} of {len(answers)} items failed"
            message = f"{counted}; item {culprit.index} ({culprit.name}): {culprit.message}"
            return child_failed(message, _culprits_first(failed))
        for one in failed[:_WARNINGS]:
            context.say("warning", f"Item {one.index} failed: {one.message}", type="info")
        return Done([one.as_json() if config.results == "details" else one.output for one in answers])


def tolerated(setting: int | str, items: int) -> int | None:
    """How many of so many items may fail; None when the setting is neither a number nor a share."""
    if isinstance(setting, int):
        return setting if setting >= 0 else None
    if setting.strip().isdigit():
        return int(setting)
    share = _PERCENT.fullmatch(setting)
    return None if share is None or float(share[1]) > 100 else math.floor(items * float(share[1]) / 100)


def _kind_of(value: JsonValue) -> str:
    """What a value is, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case str():
            return "a text"
        case dict():
            return "an object"
        case _:
            return "a number"


def _culprits_first(failed: list[Answer]) -> list[Answer]:
    """Those that failed themselves before those that were cancelled because of them."""
    return sorted(failed, key=lambda one: one.status != "failed")
