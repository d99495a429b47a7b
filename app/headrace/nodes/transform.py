"""transform: makes one value out of another, without code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal, TypeAlias

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError, Problem
from headrace.graph.expressions import evaluate, truthy
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.json_text import read_json, stringify
from headrace.nodes.predicates import rule_problems
from headrace.nodes.reshape import MergeStrategy, Unfit, as_list, chunks, groups, merged, named_paths, picked

TextOperation: TypeAlias = Literal["uppercase", "lowercase", "reverse", "json-parse", "json-stringify"]
Operation: TypeAlias = Literal[TextOperation, "map", "filter", "reduce", "merge", "split", "pick", "template"]
SplitStrategy: TypeAlias = Literal["by_key", "by_size", "by_condition"]

# So many items are evaluated between two looks at the loop: a long list must not hold up other nodes.
_ITEMS_AT_ONCE = 100


class TransformConfig(Config):
    """What is done, and to what."""

    operation: Operation = Field(
        default="uppercase",
        validation_alias=AliasChoices("operation", "transformation"),
        description="What is done. Each needs only the settings that name it.",
    )
    data: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("data", "inputArray", "input_array"),
        description="What it is done to, as `${ data.items }`; without it, the node's input.",
    )
    expression: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("expression", "mapExpression", "filterCondition"),
        description="map, filter, reduce, by_condition: json-logic over `item`, `index`, `accumulator`.",
    )
    initial_value: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("initialValue", "initial_value"),
        description="reduce: the accumulator that the first item sees; `${ path }` is filled in.",
    )
    merge_strategy: MergeStrategy = Field(
        default="deep",
        description="merge: deep and shallow make one object, the later wins; array makes one list.",
    )
    sources: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("sources", "inputSources", "input_sources"),
        description="merge: the values, as `['${ nodes.a.output }']`; without them, the items of the data.",
    )
    split_strategy: SplitStrategy = Field(
        default="by_size",
        description="split: by_key gives {value: items}, by_size lists, by_condition {matched, unmatched}.",
    )
    key: str = Field(default="", description="split by_key: the path of the value that makes a group.")
    size: int = Field(default=1, ge=1, description="split by_size: how many items each list has.")
    paths: AnyJson = Field(
        default=[],
        description="pick: the paths to keep, or {name: path}; of a list, from each item.",
    )
    template: AnyJson = Field(
        default=None, description="template: the output, with `{{ path }}` and `${ path }` filled in."
    )

    @property
    def needs_expression(self) -> bool:
        if self.operation == "split":
            return self.split_strategy == "by_condition"
        return self.operation in ("map", "filter", "reduce")


class Transform(NodeType[TransformConfig]):
    """Its output is the new value."""

    type = "transform"
    aliases = ("transformData",)
    group = "Input & Data"
    description = "Makes a value out of another: text, JSON, lists, objects, or a template."
    config_model = TransformConfig

    def check(self, config: TransformConfig) -> Iterable[Problem]:
        yield from rule_problems(config.expression, "expression")
        if config.needs_expression and config.expression is None:
            yield Problem("expression", f"{config.operation} needs one", "{'var': 'item'}")
        if config.operation == "pick":
            yield from _path_problems(config.paths)

    async def start(self, context: NodeContext, config: TransformConfig) -> Outcome:
        try:
            output = await _transformed(context, config)
        except Unfit as error:
            return Failed(f"{config.operation}: {error}", kind="BadData", retryable=False)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        context.say("transform", f"Applied {config.operation}")
        return Done(output)


def _path_problems(paths: JsonValue) -> Iterable[Problem]:
    try:
        named_paths(paths)
    except Unfit:
        yield Problem("paths", "must be a list of paths, or an object of them", "['data.city']")


def text_changed(operation: TextOperation, data: JsonValue) -> JsonValue:
    """The text changed; what is no text is left as it is, but json-stringify takes anything. Raises Unfit."""
    if operation == "json-stringify":
        return stringify(data, indent=2)
    if not isinstance(data, str):
        return data
    match operation:
        case "uppercase":
            return data.upper()
        case "lowercase":
            return data.lower()
        case "reverse":
            return data[::-1]
        case "json-parse":
            return _parsed(data)


def _parsed(text: str) -> JsonValue:
    try:
        return read_json(text)
    except ValueError as error:
        raise Unfit(f"the text is no JSON: {error}") from None


async def _transformed(context: NodeContext, config: TransformConfig) -> JsonValue:
    if config.operation == "template":
        return fill(context, config.template)
    data = _data(context, config)
    match config.operation:
        case "map" | "filter" | "reduce":
            return await _computed(context, config, as_list(data))
        case "merge":
            return merged(as_list(data), config.merge_strategy)
        case "split":
            return await _split(config, as_list(data))
        case "pick":
            return picked(data, config.paths)
        case _:
            return text_changed(config.operation, data)


def _data(context: NodeContext, config: TransformConfig) -> JsonValue:
    given = config.sources if config.operation == "merge" and config.sources is not None else config.data
    return context.input if given is None else fill(context, given)


async def _computed(context: NodeContext, config: TransformConfig, items: list[JsonValue]) -> JsonValue:
    if config.operation == "reduce":
        return await _reduced(config, items, fill(context, config.initial_value))
    if config.operation == "filter":
        return (await _divided(config, items))[0]
    return await _evaluated(config, items)


async def _split(config: TransformConfig, items: list[JsonValue]) -> JsonValue:
    match config.split_strategy:
        case "by_key":
            return {**groups(items, config.key)}
        case "by_size":
            return [*chunks(items, config.size)]
        case "by_condition":
            matched, unmatched = await _divided(config, items)
            return {"matched": matched, "unmatched": unmatched}


async def _divided(
    config: TransformConfig, items: list[JsonValue]
) -> tuple[list[JsonValue], list[JsonValue]]:
    """The items of which the expression is true, and the others."""
    verdicts = [truthy(one) for one in await _evaluated(config, items)]
    matched = [item for item, holds in zip(items, verdicts, strict=True) if holds]
    return matched, [item for item, holds in zip(items, verdicts, strict=True) if not holds]


async def _evaluated(config: TransformConfig, items: list[JsonValue]) -> list[JsonValue]:
    """What the expression says of each item."""
    results: list[JsonValue] = []
    for index, item in enumerate(items):
        await _breathe(index)
        results.append(evaluate(config.expression, {"item": item, "index": index}))
    return results


async def _reduced(config: TransformConfig, items: list[JsonValue], initial: JsonValue) -> JsonValue:
    accumulator = initial
    for index, item in enumerate(items):
        await _breathe(index)
        frame: JsonObject = {"item": item, "index": index, "accumulator": accumulator}
        accumulator = evaluate(config.expression, frame)
    return accumulator


async def _breathe(index: int) -> None:
    if index % _ITEMS_AT_ONCE == _ITEMS_AT_ONCE - 1:
        await asyncio.sleep(0)
