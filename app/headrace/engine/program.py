"""A plan with its node types and parsed configs, made once for each frozen version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from time import monotonic
from uuid import UUID

from pydantic import ValidationError

from headrace.activities.defaults import with_defaults
from headrace.activities.options import Defaults
from headrace.engine.catalogue import widened
from headrace.engine.pinning import Sources
from headrace.engine.sealing import Seal
from headrace.errors import InvalidDefinition, NotFound, Problem
from headrace.graph.bodies import body_at, body_document
from headrace.graph.definition import Definition, Node, parse
from headrace.graph.faults import faults
from headrace.graph.json_types import JsonObject
from headrace.graph.outlook import Fork
from headrace.graph.plan import BODY, Plan, make_plan
from headrace.graph.project import DEFAULT_PROJECT
from headrace.graph.validate import validate
from headrace.nodes.activity import Known, unknown_type
from headrace.nodes.base import Config, NodeRegistry, NodeType
from headrace.nodes.json_schema import below
from headrace.nodes.misspelt import misspelt
from headrace.nodes.stored_sources import NO_SOURCES, StoredSources
from headrace.store import workflows
from headrace.store.db import Database, Tx
from headrace.store.runs import ProgramKey

STALE_SECONDS = 5.0
"""How long a program is kept that names activities: what others have declared or stored may change."""


class UnknownVersion(NotFound):
    """The version that a run is pinned to does not exist."""

    code = "UnknownVersion"


@dataclass(frozen=True, slots=True)
class Program:
    """What executing a version needs; types and configs by position.

    stored: names of the stored activities that it runs, also in bodies. lacks: it has nodes that this process
    cannot run, and knows only by what others say. project: of its workflow.
    """

    plan: Plan
    types: tuple[NodeType[Config], ...]
    configs: tuple[Config, ...]
    stored: frozenset[str] = frozenset()
    lacks: bool = False
    project: str = DEFAULT_PROJECT


class Rules:
    """What validation asks of node types, answered by the registry."""

    def __init__(self, nodes: NodeRegistry) -> None:
        self._nodes = nodes

    def problems(self, node: Node) -> Iterable[Problem]:
        """Unknown type or bad config; paths are relative to the node."""
        kind = self._nodes.get(node.type)
        if kind is None:
            known = ", ".join(self._nodes.names())
            return [Problem("type", f"unknown node type '{node.type}'", f"known: {known}")]
        try:
            config = kind.config_model.model_validate(node.config)
        except ValidationError as error:
            return _below("config", faults(error.errors(), node.config))
        own = _below("config", kind.check(config))
        return [*own, *(self._body_problems(node) if kind.has_body else ())]

    def _body_problems(self, node: Node) -> list[Problem]:
        """Those of the graph inside a node."""
        try:
            found = validate(parse(body_document(node)), self)
        except InvalidDefinition as error:
            found = list(error.problems)
        return _below(f"config.{BODY}", found)

    def has_body(self, node: Node) -> bool:
        """Whether its config holds a graph."""
        kind = self._nodes.get(node.type)
        return kind is not None and kind.has_body

    def cautions(self, node: Node) -> list[Problem]:
        """What of a valid node will surprise; paths are relative to the node."""
        kind = self._nodes.get(node.type)
        if kind is None:
            return []
        config = kind.config_model.model_validate(node.config)
        own = _below("config", [*kind.cautions(config), *misspelt(config)])
        if not kind.has_body:
            return own
        inner = self.all_cautions(parse(body_document(node)))
        return [*own, *(Problem(f"config.{BODY}.{one.path}", one.message, one.hint) for one in inner)]

    def all_cautions(self, definition: Definition) -> list[Problem]:
        """What of a valid definition's nodes will surprise."""
        return [
            Problem(f"nodes[{number}].{one.path}", one.message, one.hint)
            for number, node in enumerate(definition.nodes)
            for one in self.cautions(node)
        ]

    def fork(self, node: Node) -> Fork:
        """The branches of a node, and whether they exclude each other."""
        kind = self._nodes.get(node.type)
        return Fork(self.branches(node) or (), kind is not None and kind.exclusive_branches)

    def branches(self, node: Node) -> tuple[str, ...] | None:
        """The labels its out-edges may carry; None when its type or config is bad."""
        kind = self._nodes.get(node.type)
        if kind is None:
            return None
        try:
            return kind.branches(kind.config_model.model_validate(node.config))
        except ValidationError:
            return None


def _below(path: str, found: Iterable[Problem]) -> list[Problem]:
    return [replace(one, path=below(path, one.path)) for one in found]


class Programs:
    """The programs used last. Versions never change, so only what rests on other processes goes stale."""

    def __init__(self, nodes: NodeRegistry, size: int = 256) -> None:
        self._nodes = nodes
        self._size = size
        self._kept: OrderedDict[ProgramKey, Program] = OrderedDict()
        self._stale_at: dict[ProgramKey, float] = {}

    async def load(self, tx: Tx, keys: Iterable[ProgramKey]) -> dict[ProgramKey, Program]:
        """The programs of versions and bodies; reads those that are not kept. Raises UnknownVersion."""
        wanted = set(keys)
        missing = [key for key in wanted if key not in self._kept or self._is_stale(key)]
        if missing:
            pinned = await workflows.pinned(tx, sorted({(key.workflow_id, key.version) for key in missing}))
            for key in missing:
                if frozen := pinned.get((key.workflow_id, key.version)):
                    nodes = await widened(tx, self._nodes, frozen.definition, frozen.project)
                    program = compiled(nodes, body_at(parse(frozen.definition), key.body))
                    self._keep(key, replace(program, project=frozen.project), nodes is not self._nodes)
        found = {key: self._use(key) for key in wanted}
        while len(self._kept) > self._size:
            key, _ = self._kept.popitem(last=False)
            self._stale_at.pop(key, None)
        return found

    async def one(self, tx: Tx, key: ProgramKey) -> Program:
        """The program of one version, or of one body of it."""
        return (await self.load(tx, [key]))[key]

    def _use(self, key: ProgramKey) -> Program:
        if key not in self._kept:
            raise UnknownVersion(f"workflow {key.workflow_id} has no version {key.version}")
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: ProgramKey, program: Program, rests_on_others: bool) -> None:
        self._kept[key] = program
        if rests_on_others:
            self._stale_at[key] = monotonic() + STALE_SECONDS
        else:
            self._stale_at.pop(key, None)

    def _is_stale(self, key: ProgramKey) -> bool:
        return self._stale_at.get(key, inf) < monotonic()


def compiled(nodes: NodeRegistry, definition: Definition) -> Program:
    """The program of a valid definition. A type that nobody knows waits for a process that does."""
    definition = with_defaults(definition, partial(_defaults, nodes))
    plan = make_plan(definition)
    types = tuple(_type(nodes, node.type) for node in plan.nodes)
    configs = tuple(
        kind.config_model.model_validate(node.config) for kind, node in zip(types, plan.nodes, strict=True)
    )
    pairs = list(zip(types, configs, strict=True))
    stored = {kind.stored_activity(config) for kind, config in pairs}
    for node in definition.nodes:
        if _type(nodes, node.type).has_body:
            stored |= compiled(nodes, parse(body_document(node))).stored
    return Program(
        plan,
        types,
        configs,
        stored=frozenset(name for name in stored if name is not None),
        lacks=any(kind.lacks(config) for kind, config in pairs),
    )


def _type(nodes: NodeRegistry, name: str) -> NodeType[Config]:
    return nodes.get(name) or unknown_type(name, Known())


def _defaults(nodes: NodeRegistry, node: Node) -> Defaults | None:
    kind = nodes.get(node.type)
    return None if kind is None else kind.defaults(node.config)


@dataclass(frozen=True, slots=True)
class KnownRun:
    """What never changes about a run. names: what `run` is in templates and conditions.

    mocks: answers of nodes that are not run, by node id. is_child: another run waits for it, or started it.
    is_body: it runs the body of another run's node.
    stored: the versions of stored activities that it is pinned to.
    """

    program: Program
    names: JsonObject
    mocks: JsonObject = field(default_factory=dict)
    is_child: bool = False
    is_body: bool = False
    stored: StoredSources = NO_SOURCES


class KnownRuns:
    """The runs used last. Those with a long input are not kept: hundreds of them would fill the memory."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._kept: OrderedDict[UUID, KnownRun] = OrderedDict()
        self._detours: OrderedDict[UUID, None] = OrderedDict()

    def get(self, run_id: UUID) -> KnownRun | None:
        return self._kept.get(run_id)

    def keep(self, run_id: UUID, run: KnownRun) -> None:
        self._kept[run_id] = run
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def note_detour(self, run_id: UUID) -> None:
        """A completion of the run could not be handed over: it had a failure, or is paused or debugged."""
        self._detours[run_id] = None
        while len(self._detours) > self._size:
            self._detours.popitem(last=False)

    def had_detour(self, run_id: UUID) -> bool:
        """Whether that was so lately: then its nodes would run ahead for nothing."""
        return run_id in self._detours


@dataclass(frozen=True, slots=True)
class Engine:
    """What the use-cases work with.

    relaxed: for what may be done again after a crash of the server: its commits do not wait for the disk.
    lease_seconds: how long a claimed task may go without a renewal. seal: of secrets, for who runs nodes.
    """

    db: Database
    relaxed: Database
    nodes: NodeRegistry
    programs: Programs
    runs: KnownRuns
    lease_seconds: float = 30.0
    sources: Sources = field(default_factory=Sources)
    seal: Seal = field(default_factory=lambda: Seal(""))

    @classmethod
    def over(
        cls,
        db: Database,
        nodes: NodeRegistry,
        lease_seconds: float = 30.0,
        relaxed: Database | None = None,
    ) -> Engine:
        return cls(db, relaxed or db, nodes, Programs(nodes), KnownRuns(), lease_seconds)
