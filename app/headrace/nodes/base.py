"""What a node type is: a Config, `start()`, perhaps `resume()`."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeAlias, TypeVar, TypeVarTuple

from pydantic import AliasChoices, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import ComputedFieldInfo, FieldInfo

from headrace.activities.notes import Hear
from headrace.activities.options import Defaults
from headrace.errors import HeadraceError, Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Outcome
from headrace.graph.redaction import Redaction
from headrace.graph.template import Rendered, Scope, render, render_json
from headrace.graph.variables import Operation
from headrace.nodes.lanes import (
    NO_LANES,
    Heartbeat,
    Lanes,
    Program,
    Sandboxed,
    SandboxFailed,
    SandboxLimits,
    usual_limits,
)
from headrace.nodes.stored_sources import NO_SOURCES, StoredSources

_LEFT = "a thread cannot be stopped: the code was told that its attempt is over, but it may run on"

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def _title(name: str, _: FieldInfo | ComputedFieldInfo) -> str:
    """What a form calls the field: `timeout_ms` is `Timeout ms`."""
    return name.replace("_", " ").capitalize()


def _names(name: str, info: FieldInfo) -> set[str]:
    alias = info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return {name, *map(str, choices)}


class Config(BaseModel):
    """A node's settings: camelCase on the wire. Unknown keys are kept, clients store their own there.

    null for a setting means its default: editors save empty fields so.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        frozen=True,
        field_title_generator=_title,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = {name for field, info in cls.model_fields.items() for name in _names(field, info)}
        return {key: value for key, value in data.items() if value is not None or key not in known}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log. type: info | error | node-output | system. kind: what wrote it, as `api`."""

    type: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An outgoing call. timeout: seconds for the whole exchange. content: the body, None for none."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back. reason: the status's text. body: at most the limit of a node's output."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class HttpError(HeadraceError):
    """The call brought no answer."""

    code = "HttpError"
    retryable = True


class HttpTimeout(HttpError):
    """Request timeout"""

    code = "HttpTimeout"


class InvalidRequest(HttpError):
    """The request cannot be sent."""

    code = "InvalidRequest"
    retryable = False


class RefusedAddress(HttpError):
    """The address may not be reached."""

    code = "RefusedAddress"
    retryable = False


class ResponseTooLarge(HttpError):
    """The response is too large."""

    code = "ResponseTooLarge"
    retryable = False


class Http(Protocol):
    """Outgoing calls, behind the guard that keeps them off private addresses."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Makes the call and follows its redirects; raises HttpError (or a subclass) and nothing else."""
        ...


class Variables(Protocol):
    """Variables of the run, its workflow or its project. scope: one of these three."""

    async def read(self, scope: str, name: str, default: JsonValue = None) -> JsonValue:
        """A variable's value, or the default when it was never set."""
        ...

    async def change(self, scope: str, name: str, operation: Operation, value: JsonValue) -> JsonValue:
        """Changes a variable, once for each task, and returns its new value. Raises InvalidInput."""
        ...


@dataclass(slots=True)
class NodeContext:
    """What a node sees of its run while it executes.

    input: see `headrace.graph.inputs`. idempotency_key: stable over attempts. log: lines written so far.
    memory: what the node kept when it began to wait; wake: what woke it, None when its time had come.
    drawn: the labels that its out-edges carry. stored: the stored activities of its run.
    cancelled: set when the attempt is over without its code: cancelled, timed out, stopped, taken away. Code
    that looks at it may end by itself within the cancel's grace. hidden: takes out the secrets that it knows.
    """

    run_id: str
    node_id: str
    node_name: str
    attempt: int
    idempotency_key: str
    scope: Scope
    http: Http
    variables: Variables
    log: list[LogLine] = field(default_factory=list)
    memory: JsonValue = None
    wake: JsonValue = None
    drawn: frozenset[str] = frozenset()
    lanes: Lanes = NO_LANES
    stored: StoredSources = NO_SOURCES
    cancelled: threading.Event = field(default_factory=threading.Event)
    hidden: Redaction | None = None

    @property
    def input(self) -> JsonValue:
        return self.scope.input

    def say(self, kind: str, message: str, type: str = "node-output") -> None:
        """Writes a line into the run's log, committed together with the node's result."""
        self.log.append(LogLine(type, kind, message))

    async def run_sync(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Calls code that is not async, in a thread; see `Lanes`. The log tells of code that was left."""
        began = threading.Event()

        def call() -> T:
            began.set()
            return function(*arguments)

        try:
            return await self.lanes.run_sync(call)
        except asyncio.CancelledError:
            self.cancelled.set()
            if began.is_set():
                self.say("warning", _LEFT, type="system")
            raise

    async def run_isolated(self, function: str, payload: JsonValue, hear: Hear | None = None) -> JsonValue:
        """Calls `module:qualname` with the payload, in a process that may crash or be killed; see `Lanes`."""
        return await self.lanes.run_isolated(function, payload, hear)

    def heartbeat(self, progress: float | None, details: JsonValue) -> None:
        """Shows people how far the node is: progress from 0 to 1. Cheap; the last one counts."""
        told = self.hidden.value(details) if self.hidden else details
        self.lanes.heartbeat(self.idempotency_key, Heartbeat(progress, told))

    async def run_sandboxed(
        self, program: Program, payload: JsonValue, limits: SandboxLimits | None = None
    ) -> Sandboxed:
        """Runs code that nobody vouches for; see `Lanes`. What it writes goes into the run's log."""
        try:
            done = await self.lanes.run_sandboxed(program, payload, limits or usual_limits(program.language))
        except SandboxFailed as error:
            self._say_all(error.log)
            raise
        self._say_all(done.log)
        return done

    def _say_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say("stdout", line)

    def render(self, text: str) -> str:
        """Fills in `{{ path }}`. A missing value becomes '' and a warning in the run's log."""
        return self._warned(render(text, self.scope))

    def render_json(self, text: str) -> str:
        """As `render`, for a text that is JSON: values are escaped, so that a quote in one breaks nothing."""
        return self._warned(render_json(text, self.scope))

    def _warned(self, rendered: Rendered) -> str:
        for path in rendered.missing:
            self.say("warning", f"Template value '{path}' is missing", type="info")
        return rendered.text


C = TypeVar("C", bound=Config)
# Inside NodeType the name `type` is the node type's own.
ConfigModel: TypeAlias = type[Config]


class NodeType(ABC, Generic[C]):
    """A node type. Subclasses set the class variables and write `start()`.

    branching: its out-edges may carry labels; `branches()` says which. exclusive_branches: whenever it
    completes, it takes exactly one of them. group: the palette's heading.
    is_instant: its code never waits and is quick, so it is run on the spot, without a timeout. has_body: its
    config has a `body`, a graph that its children run. watches_variables: while it waits for a `condition`, a
    change of its run's variables lets it look at once.
    """

    type: ClassVar[str]
    group: ClassVar[str]
    description: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    branching: ClassVar[bool] = False
    exclusive_branches: ClassVar[bool] = True
    is_instant: ClassVar[bool] = False
    has_body: ClassVar[bool] = False
    watches_variables: ClassVar[bool] = False
    config_model: ClassVar[ConfigModel]

    def branches(self, config: C) -> tuple[str, ...]:
        """The labels that out-edges of this node may carry, in the editor's order."""
        return ()

    def check(self, config: C) -> Iterable[Problem]:
        """Problems of a config that its JSON Schema cannot express; paths are relative to the config."""
        return ()

    def check_start(self, config: C, run_input: JsonValue) -> Iterable[Problem]:
        """Problems of a run's input when this node is a root; a run with problems is not started."""
        return ()

    def check_signal(self, config: C, payload: JsonValue) -> Iterable[Problem]:
        """Problems of a signal that would wake the node: it is refused for them, and the node waits on."""
        return ()

    def cautions(self, config: C) -> Iterable[Problem]:
        """What of a valid config will surprise; paths are relative to the config."""
        return ()

    def lacks(self, config: C) -> str | None:
        """The name of the activity that this process would need to run the node, and has not."""
        return None

    def defaults(self, config: JsonObject) -> Defaults | None:
        """What a node with this config has where it says nothing itself, as of retries; None: the usual."""
        return None

    def named(self, type: str) -> NodeType[Config] | None:
        """The node type of this name, if this one stands for a family of them."""
        return None

    def stored_activity(self, config: C) -> str | None:
        """The name of the stored activity that this node runs; its run is pinned to a version of it."""
        return None

    @abstractmethod
    async def start(self, context: NodeContext, config: C) -> Outcome:
        """Executes the node."""

    async def resume(self, context: NodeContext, config: C) -> Outcome:
        """Goes on after a `Waiting`; only a type that answers so has it."""
        raise RuntimeError(f"a node of type '{self.type}' does not wait")


class NodeRegistry:
    """Node types by name and alias, in palette order."""

    def __init__(self, types: Iterable[NodeType[Config]]) -> None:
        self._types = tuple(types)
        self._by_name = {name: one for one in self._types for name in (one.type, *one.aliases)}

    def __iter__(self) -> Iterator[NodeType[Config]]:
        return iter(self._types)

    def get(self, type: str) -> NodeType[Config] | None:
        found = self._by_name.get(type)
        return found or next((one for kind in self._types if (one := kind.named(type))), None)

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def knowing(self, more: NodeType[Config]) -> NodeRegistry:
        """With this one in place of that of the same name."""
        return NodeRegistry(more if one.type == more.type else one for one in self._types)
