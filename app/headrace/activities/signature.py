"""A function's parameters: their JSON Schema, and how they are bound to a node's config by name."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python

from headrace.activities.errors import BadDeclaration, BadInput
from headrace.graph.json_types import JsonObject, JsonValue

WHOLE = "task_input"
"""A lone parameter of this name gets everything as one object."""

MOST_PROBLEMS = 20


class _Parameters(BaseModel):
    """What the models of parameters have in common."""

    model_config = ConfigDict(arbitrary_types_allowed=True)


class _Open(_Parameters):
    """Of functions that take names that they do not know."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Arguments:
    """What to call a function with."""

    positional: tuple[object, ...]
    named: Mapping[str, object]


@dataclass(frozen=True)
class Signature:
    """What a function takes.

    names: of its parameters, in order. first: how many of them can be given by place only.
    takes_whole: it takes everything as one object. takes_more: it takes names that it does not know.
    """

    names: tuple[str, ...]
    model: type[BaseModel]
    first: int = 0
    takes_whole: bool = False
    takes_more: bool = False

    @cached_property
    def schema(self) -> JsonObject:
        """The JSON Schema of what `bind` takes."""
        schema = self.model.model_json_schema(by_alias=True, mode="validation")
        if self.takes_whole:
            schema = _unwrapped(schema)
        schema.pop("title", None)
        return typing.cast(JsonObject, schema | {"type": "object"})

    def names_in(self, config: Mapping[str, JsonValue]) -> bool:
        """Whether a config says something to this function, so that it stands for the node's input."""
        if self.takes_whole or self.takes_more:
            return bool(config)
        return any(name in config for name in self.names)

    def bind(self, payload: JsonValue) -> Arguments:
        """The arguments, converted to the types that the parameters name. Raises BadInput."""
        if not isinstance(payload, dict):
            if self.names:
                raise BadInput(f"needs an object with {', '.join(self.names)}, got {_kind(payload)}")
            payload = {}
        given: dict[str, object] = {WHOLE: payload} if self.takes_whole else {**payload}
        try:
            bound = self.model.model_validate(given)
        except ValidationError as error:
            raise BadInput("; ".join(_in_words(error, self.takes_whole))) from None
        values = {
            name: getattr(bound, _field(place))
            for place, name in enumerate(self.names)
            if _field(place) in bound.model_fields_set
        }
        more = (bound.model_extra or {}) if self.takes_more else {}
        return self._arguments(values, more)

    def _arguments(self, values: dict[str, object], more: Mapping[str, object]) -> Arguments:
        """By place as far as it must be: a default in between ends what can be given so."""
        positional: list[object] = []
        for name in self.names[: self.first]:
            if name not in values:
                break
            positional.append(values.pop(name))
        named = {name: value for name, value in values.items() if name not in self.names[: self.first]}
        return Arguments(tuple(positional), {**named, **more})


def signature_of(function: Callable[..., object]) -> Signature:
    """Reads a function's parameters. Raises BadDeclaration for what cannot be bound by name."""
    hints = _hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    if any(one.kind is Parameter.VAR_POSITIONAL for one in parameters):
        raise BadDeclaration(f"{_named(function)}: parameters are bound by name, *args has none")
    plain = [one for one in parameters if one.kind is not Parameter.VAR_KEYWORD]
    names = tuple(one.name for one in plain)
    return Signature(
        names=names,
        model=_model(function, parameters, hints),
        first=sum(one.kind is Parameter.POSITIONAL_ONLY for one in plain),
        takes_whole=names == (WHOLE,),
        takes_more=len(plain) < len(parameters),
    )


def output_schema_of(function: Callable[..., object]) -> JsonObject | None:
    """The JSON Schema of what a function says that it returns; None when it does not say, or JSON cannot."""
    given = _hints(function).get("return", Parameter.empty)
    if given is Parameter.empty:
        return None
    try:
        return typing.cast(
            JsonObject, TypeAdapter(typing.cast(type, given)).json_schema(mode="serialization")
        )
    except (PydanticUserError, TypeError):
        return None


def as_json(output: object) -> JsonValue:
    """What a function returned, as JSON: also models, dataclasses, dates, sets. Raises BadInput."""
    try:
        return typing.cast(JsonValue, to_jsonable_python(output, by_alias=True))
    except (PydanticSerializationError, ValueError) as error:
        raise BadInput(f"what was returned is not JSON: {error}") from None


def _hints(function: Callable[..., object]) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise BadDeclaration(
            f"{_named(function)}: its annotations cannot be read: {type(error).__name__}: {error}"
        ) from error


def _model(
    function: Callable[..., object], parameters: list[Parameter], hints: Mapping[str, object]
) -> type[BaseModel]:
    """Its fields have names of our own: a parameter may be called as a method of pydantic's models."""
    plain = [one for one in parameters if one.kind is not Parameter.VAR_KEYWORD]
    fields = {_field(at): (hints.get(one.name, object), _described(one)) for at, one in enumerate(plain)}
    base = _Parameters if len(plain) == len(parameters) else _Open
    try:
        model = create_model(function.__name__, __base__=base, **fields)  # type: ignore[call-overload]
        model.model_json_schema()
    except (PydanticUserError, TypeError) as error:
        raise BadDeclaration(f"{_named(function)}: no JSON fits its parameters: {error}") from error
    return typing.cast(type[BaseModel], model)


def _described(parameter: Parameter) -> FieldInfo:
    """The default stands in the schema only: the function itself gives it when it is called."""
    title = parameter.name.replace("_", " ").capitalize()
    if parameter.default is Parameter.empty:
        return typing.cast(FieldInfo, Field(alias=parameter.name, title=title))
    try:
        shown: JsonObject = {"default": typing.cast(JsonValue, to_jsonable_python(parameter.default))}
    except PydanticSerializationError:
        shown = {}
    return typing.cast(
        FieldInfo,
        Field(default_factory=lambda: None, alias=parameter.name, title=title, json_schema_extra={**shown}),
    )


def _field(place: int) -> str:
    return f"p{place}_"


def _unwrapped(schema: dict[str, object]) -> dict[str, object]:
    """The schema of the lone parameter, in place of that of an object which has only it."""
    properties = typing.cast("dict[str, dict[str, object]]", schema["properties"])
    inner = dict(properties[WHOLE])
    inner.pop("title", None)
    definitions = typing.cast("dict[str, dict[str, object]]", schema.get("$defs", {}))
    reference = str(inner.get("$ref", ""))
    if reference:
        inner = dict(definitions[reference.removeprefix("#/$defs/")])
    return inner | ({"$defs": definitions} if definitions else {})


def _in_words(error: ValidationError, is_whole: bool) -> Iterator[str]:
    for one in error.errors()[:MOST_PROBLEMS]:
        places = one["loc"][1:] if is_whole else one["loc"]
        path = ".".join(map(str, places))
        yield f"{path}: {one['msg']}" if path else one["msg"]


def _named(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a number" if not isinstance(value, bool) else "true or false"
