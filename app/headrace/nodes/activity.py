"""Activities as nodes: `activity`, which names one, and every activity as a node type of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar, cast

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.activities.declaration import Activity, Declaration
from headrace.activities.options import Defaults
from headrace.activities.registry import REGISTRY, Registry
from headrace.errors import HeadraceError, Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.activity_call import perform
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.json_schema import below, problems, schema_problems
from headrace.nodes.stored_activity import given_to, node_type, run_stored

GROUP = "Activities"

C = TypeVar("C", bound=Config)

_UNUSABLE = "no activity '{}' is known to any worker yet"


@dataclass(frozen=True)
class Known:
    """The activities that can be named here.

    local: those whose code this process has. declared: those of other processes. stored: names of those that
    run from their source in the database, whatever else has their name.
    """

    local: Registry = REGISTRY
    declared: Mapping[str, Declaration] = field(default_factory=lambda: MappingProxyType({}))
    stored: frozenset[str] = frozenset()

    def activity(self, name: str) -> Activity | None:
        """An activity that this process can run."""
        return None if name in self.stored else self.local.get(name)

    def declaration(self, name: str) -> Declaration | None:
        """What is known of an activity that some process has declared."""
        if name in self.stored:
            return None
        own = self.local.get(name)
        return self.declared.get(name) if own is None else own.declaration

    def is_stored(self, name: str) -> bool:
        return name in self.stored


class ActivityConfig(Config):
    """Which activity, and what it gets."""

    activity: str = Field(min_length=1, max_length=64, description="The activity's name.")
    input: AnyJson = Field(
        default=None,
        description="Its parameters by name; `${ path }` and `{{ path }}` are filled in. Without it, the"
        " node's input.",
    )


class _Runs(NodeType[C], Generic[C]):
    """A node that runs an activity."""

    group = GROUP

    def __init__(self, known: Known = Known()) -> None:
        self.known = known

    @abstractmethod
    def name_in(self, config: C) -> str:
        """The activity's name."""

    @abstractmethod
    def given_in(self, config: C) -> JsonValue:
        """Its parameters as they stand in the config; None: the node's input."""

    def declaration(self, config: C) -> Declaration | None:
        """What is known of the activity."""
        return self.known.declaration(self.name_in(config))

    def lacks(self, config: C) -> str | None:
        name = self.name_in(config)
        return None if self.known.activity(name) or self.known.is_stored(name) else name

    def stored_activity(self, config: C) -> str | None:
        name = self.name_in(config)
        return name if self.known.is_stored(name) else None

    async def start(self, context: NodeContext, config: C) -> Outcome:
        """What the run is pinned to goes before what this process has by now under that name."""
        name = self.name_in(config)
        try:
            given = self.given_in(config)
            activity = None if context.stored.has(name) else self.known.activity(name)
            if activity is None:
                parameters = given if isinstance(given, dict) else {}
                return Done(await run_stored(context, name, given_to(context, parameters)))
            payload = context.input if given is None else fill(context, given)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        return await perform(context, activity, payload)


class RunActivity(_Runs[ActivityConfig]):
    """Its output is what the activity returns. Activities are node types of their own, too: `named`."""

    type = "activity"
    description = "Runs an activity: a function that a worker has, by its name."
    config_model = ActivityConfig

    def name_in(self, config: ActivityConfig) -> str:
        return config.activity

    def given_in(self, config: ActivityConfig) -> JsonValue:
        return config.input

    def check(self, config: ActivityConfig) -> Iterable[Problem]:
        declared = self.declaration(config)
        if declared is None or config.input is None:
            return ()
        if not isinstance(config.input, dict):
            return () if _is_template(config.input) else [Problem("input", "must be an object")]
        return _problems(declared.input_schema, config.input, "input")

    def defaults(self, config: JsonObject) -> Defaults | None:
        declared = self.known.declaration(str(config.get("activity")))
        return None if declared is None else declared.defaults

    def cautions(self, config: ActivityConfig) -> Iterable[Problem]:
        name = config.activity
        if self.declaration(config) is None and not self.known.is_stored(name):
            yield Problem("activity", _UNUSABLE.format(name), "its node waits until a worker declares it")

    def named(self, type: str) -> NodeType[Config] | None:
        """The node type that an activity is by its own name."""
        if (declared := self.known.declaration(type)) is not None:
            return own_type(declared, self.known)
        return node_type(type) if self.known.is_stored(type) else None


class OwnActivity(_Runs[Config]):
    """An activity as a node type of its own: every setting of the node is a parameter.

    A config that names no parameter of the activity stands for the node's input.
    """

    config_model = Config
    described: ClassVar[Declaration | None] = None

    def name_in(self, config: Config) -> str:  # noqa: ARG002
        return self.type

    async def start(self, context: NodeContext, config: Config) -> Outcome:
        if context.stored.has(self.type):
            return await node_type(self.type).start(context, config)
        return await super().start(context, config)

    def given_in(self, config: Config) -> JsonValue:
        given = dict(config.model_extra or {})
        activity = self.known.activity(self.type)
        says = bool(given) if activity is None else activity.signature.names_in(given)
        return given if says else None

    def defaults(self, config: JsonObject) -> Defaults | None:  # noqa: ARG002
        declared = self.known.declaration(self.type)
        return None if declared is None else declared.defaults

    def check(self, config: Config) -> Iterable[Problem]:
        given = cast(JsonObject, dict(config.model_extra or {}))
        if self.described is None or not _names_any(self.described.input_schema, given):
            return ()
        return _problems(self.described.input_schema, given, "")


def run_activity(known: Known) -> NodeType[Config]:
    """The type `activity`, which knows these activities."""
    return cast("NodeType[Config]", RunActivity(known))


def own_type(declared: Declaration, known: Known) -> NodeType[Config]:
    """The node type that an activity is."""
    return _own_class(_Identity(declared))(known)


def unknown_type(name: str, known: Known) -> NodeType[Config]:
    """What stands for a node type that no process has declared: it waits for one that knows it."""
    kind: type[OwnActivity] = type(name, (OwnActivity,), {"type": name, "description": ""})
    return kind(known)


@dataclass(frozen=True, eq=False)
class _Identity:
    """A declaration as a key: the same object, the same type."""

    declared: Declaration

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.declared is self.declared

    def __hash__(self) -> int:
        return id(self.declared)


@lru_cache(maxsize=1024)
def _own_class(identity: _Identity) -> type[OwnActivity]:
    one = identity.declared
    return type(
        one.name, (OwnActivity,), {"type": one.name, "description": one.description, "described": one}
    )


def _names_any(schema: JsonObject, given: JsonObject) -> bool:
    properties = schema.get("properties")
    if not properties or schema.get("additionalProperties"):
        return bool(given)
    return isinstance(properties, dict) and any(name in properties for name in given)


def _problems(schema: JsonObject, given: JsonObject, path: str) -> list[Problem]:
    """What of the parameters cannot be right. Values with placeholders are known only when the node runs."""
    if schema_problems(schema):  # as of a model that contains itself: only the activity can check it
        return []
    open_names = [name for name, value in given.items() if _is_template(value)]
    properties = schema.get("properties")
    known: JsonObject = dict(properties) if isinstance(properties, dict) else {}
    loose: JsonObject = {**schema, "properties": {**known, **dict.fromkeys(open_names, True)}}
    return [
        one for one in problems(loose, given, path) if one.path not in {below(path, n) for n in open_names}
    ]


def _is_template(value: JsonValue) -> bool:
    """Whether there is a placeholder anywhere in it."""
    match value:
        case str():
            return "${" in value or "{{" in value
        case list():
            return any(map(_is_template, value))
        case dict():
            return any(map(_is_template, value.values()))
        case _:
            return False
