"""A plan with its node types and parsed configs, made once for each frozen version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from headrace.errors import HeadraceError, Problem
from headrace.graph.definition import Node, parse
from headrace.graph.json_types import JsonObject
from headrace.graph.plan import Plan, make_plan
from headrace.nodes.base import Config, NodeRegistry, NodeType
from headrace.store import workflows
from headrace.store.db import Database, Tx


class UnknownVersion(HeadraceError):
    """The version that a run is pinned to does not exist."""

    code = "UnknownVersion"


@dataclass(frozen=True, slots=True)
class Program:
    """What executing a version needs; types and configs by position."""

    plan: Plan
    types: tuple[NodeType[Config], ...]
    configs: tuple[Config, ...]


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
            return [
                Problem(".".join(map(str, ("config", *one["loc"]))), one["msg"]) for one in error.errors()
            ]
        return [Problem(f"config.{one.path}", one.message, one.hint) for one in kind.check(config)]

    def branches(self, node: Node) -> tuple[str, ...] | None:
        """The labels its out-edges may carry; None when its type or config is bad."""
        kind = self._nodes.get(node.type)
        if kind is None:
            return None
        try:
            return kind.branches(kind.config_model.model_validate(node.config))
        except ValidationError:
            return None


class Programs:
    """The programs of the versions used last. Versions never change, so nothing goes stale."""

    def __init__(self, nodes: NodeRegistry, size: int = 256) -> None:
        self._nodes = nodes
        self._size = size
        self._kept: OrderedDict[tuple[UUID, int], Program] = OrderedDict()

    async def load(self, tx: Tx, versions: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], Program]:
        """The programs of versions; reads those that are not kept. Raises UnknownVersion."""
        wanted = set(versions)
        missing = [version for version in wanted if version not in self._kept]
        if missing:
            for version, definition in (await workflows.pinned(tx, missing)).items():
                self._kept[version] = self._compile(make_plan(parse(definition)))
        found = {version: self._use(version) for version in wanted}
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return found

    async def one(self, tx: Tx, workflow_id: UUID, version: int) -> Program:
        """The program of one version."""
        return (await self.load(tx, [(workflow_id, version)]))[workflow_id, version]

    def _use(self, version: tuple[UUID, int]) -> Program:
        if version not in self._kept:
            raise UnknownVersion(f"workflow {version[0]} has no version {version[1]}")
        self._kept.move_to_end(version)
        return self._kept[version]

    def _compile(self, plan: Plan) -> Program:
        types = tuple(self._type(node.type) for node in plan.nodes)
        configs = tuple(
            kind.config_model.model_validate(node.config)
            for kind, node in zip(types, plan.nodes, strict=True)
        )
        return Program(plan, types, configs)

    def _type(self, name: str) -> NodeType[Config]:
        kind = self._nodes.get(name)
        if kind is None:
            raise UnknownVersion(f"this process does not know the node type '{name}'")
        return kind


@dataclass(frozen=True, slots=True)
class KnownRun:
    """What never changes about a run. names: what `run` is in templates and conditions."""

    program: Program
    names: JsonObject


class KnownRuns:
    """The runs used last. Those with a long input are not kept: hundreds of them would fill the memory."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._kept: OrderedDict[UUID, KnownRun] = OrderedDict()

    def get(self, run_id: UUID) -> KnownRun | None:
        return self._kept.get(run_id)

    def keep(self, run_id: UUID, run: KnownRun) -> None:
        self._kept[run_id] = run
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Engine:
    """What the use-cases work with.

    relaxed: for what may be done again after a crash of the server: its commits do not wait for the disk.
    lease_seconds: how long a claimed task may go without a renewal.
    """

    db: Database
    relaxed: Database
    nodes: NodeRegistry
    programs: Programs
    runs: KnownRuns
    lease_seconds: float = 30.0

    @classmethod
    def over(
        cls,
        db: Database,
        nodes: NodeRegistry,
        lease_seconds: float = 30.0,
        relaxed: Database | None = None,
    ) -> Engine:
        return cls(db, relaxed or db, nodes, Programs(nodes), KnownRuns(), lease_seconds)
