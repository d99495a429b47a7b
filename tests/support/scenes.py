"""Random workflows whose nodes have roles: what each answers is written down, for an oracle to tell the end.

They are run by the real engine: `act` plays a role and counts how often it did; maps, loops and `terminate`
are the shipped node types.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeRegistry, NodeType
from headrace.nodes.builtin import builtin
from support.build import edge, node, workflow

BRANCHES = ("out-a", "out-b")
SLOW = ("all", "all", "all_success", "all_done", "none_failed", "all_failed")


class ActConfig(Config):
    """fails: the indexes, in a body, at which it fails; elsewhere the index is 0. The rest is for edges."""

    fails: tuple[int, ...] = ()
    go: bool = False
    kind: str = "Even"
    branches: tuple[str, ...] = ()


class Act(NodeType[ActConfig]):
    """Plays its role. ran: the tasks whose code ran, in order, by their idempotency keys."""

    type = "act"
    group = "Tests"
    description = "Plays its role."
    branching = True
    exclusive_branches = False
    config_model = ActConfig

    def __init__(self) -> None:
        self.ran: list[str] = []

    def branches(self, config: ActConfig) -> tuple[str, ...]:  # noqa: ARG002
        return BRANCHES

    async def start(self, context: NodeContext, config: ActConfig) -> Outcome:
        self.ran.append(context.idempotency_key)
        if context.scope.names.get("index", 0) in config.fails:
            return Failed("as its role says", kind=config.kind, retryable=False)
        return Done({"go": config.go}, frozenset(config.branches))

    def counted(self) -> Counter[str]:
        return Counter(self.ran)


def with_act(act: Act) -> NodeRegistry:
    """The shipped node types and `act`."""
    return NodeRegistry([*builtin(), cast("NodeType[Config]", act)])


@dataclass(frozen=True, slots=True)
class Body:
    """What a node repeats `count` times. tolerated: how many times may fail; of a loop none."""

    scene: Scene
    count: int
    tolerated: int


@dataclass(frozen=True, slots=True)
class Role:
    """What a node answers. ends: how it ends its run. body: what it runs instead of answering itself."""

    fails: frozenset[int] = frozenset()
    is_go: bool = False
    kind: str = "Even"
    branches: frozenset[str] = frozenset()
    ends: str | None = None
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A workflow and the roles of its nodes, by id."""

    document: JsonObject
    roles: Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class Features:
    """What random workflows may have. bodies: how deep maps and loops go."""

    size: int = 7
    losers: bool = False
    fail_fast: bool = False
    pauses: bool = False
    ends: bool = False
    finals: bool = False
    undo: bool = False
    bodies: int = 0


@dataclass
class _Draft:
    """A workflow while it is drawn."""

    rng: random.Random
    features: Features
    roles: dict[str, Role] = field(default_factory=dict)
    nodes: list[JsonObject] = field(default_factory=list)
    edges: list[JsonObject] = field(default_factory=list)

    def add(self, names: Sequence[str], *, is_final: bool = False) -> None:
        """Draws nodes, and edges between them from earlier to later ones."""
        density = self.rng.choice((0.2, 0.4, 0.7))
        for name in names:
            self.nodes.append(self._node(name, is_final))
        for place, target in enumerate(names):
            for source in names[:place]:
                if self.rng.random() < density:
                    self._join_up(source, target)
        degrees = Counter(str(one["target"]) for one in self.edges)
        for one in self.nodes[-len(names) :]:
            if degrees[str(one["id"])] and self.rng.random() < 0.7:
                one["join"] = self._join(degrees[str(one["id"])], is_final)

    def undo(self, names: Sequence[str]) -> None:
        """Gives some nodes a compensation."""
        for name in names:
            if self.roles[name].ends is None and self.rng.random() < 0.4:
                undone = next(one for one in self.nodes if one["id"] == name)
                undone["compensateWith"] = f"u{name}"
                self.nodes.append(self._act(f"u{name}", rarely=0.15))

    def _join_up(self, source: str, target: str) -> None:
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            drawn = self._edge(source, target)
            if drawn not in self.edges:
                self.edges.append(drawn)

    def _edge(self, source: str, target: str) -> JsonObject:
        labels = BRANCHES if self.roles[source].ends is None and self.roles[source].body is None else ()
        match self.rng.choice(("plain", "plain", "plain", "branch", "when", "failure", "odd", "always")):
            case "branch" if labels:
                return edge(source, target, self.rng.choice(labels))
            case "when":
                return edge(source, target, self.rng.choice((None, *labels)), when={"var": "output.go"})
            case "failure":
                return edge(source, target, on="failure")
            case "odd":
                return edge(source, target, on="failure", when={"==": [{"var": "error.type"}, "Odd"]})
            case "always":
                return edge(source, target, on="always")
            case _:
                return edge(source, target)

    def _node(self, name: str, is_final: bool) -> JsonObject:
        chance, features = self.rng.random(), self.features
        if is_final:
            return {**self._act(name), "finally": True}
        if features.ends and chance < 0.2:
            status = self.rng.choice(("succeeded", "failed", "cancelled"))
            self.roles[name] = Role(ends=status)
            return node(name, "terminate", config={"status": status, "output": {"go": False}})
        if features.bodies and chance < 0.35:
            return self._with_body(name)
        return self._act(name)

    def _act(self, name: str, rarely: float = 0.3) -> JsonObject:
        rng = self.rng
        often = rng.choice((rarely, rarely, 0.0, 1.0)) if rarely >= 0.3 else rarely
        role = Role(
            frozenset(index for index in range(4) if rng.random() < often),
            rng.random() < 0.5,
            rng.choice(("Odd", "Even")),
            frozenset(branch for branch in BRANCHES if rng.random() < 0.6),
        )
        self.roles[name] = role
        config: JsonObject = {
            "fails": [*sorted(role.fails)],
            "go": role.is_go,
            "kind": role.kind,
            "branches": [*sorted(role.branches)],
        }
        options: JsonObject = {"allowFailure": True} if rng.random() < 0.2 else {}
        return node(name, "act", config=config, **options)

    def _with_body(self, name: str) -> JsonObject:
        rng = self.rng
        inner = Features(size=3, losers=True, bodies=self.features.bodies - 1)
        scene, count = random_scene(rng, inner), rng.randint(0, 4)
        body: JsonValue = {"nodes": scene.document["nodes"], "edges": scene.document["edges"]}
        if rng.random() < 0.3:
            self.roles[name] = Role(body=Body(scene, count, 0), kind="ChildFailed")
            return node(name, "repeat", config={"body": body, "for": count})
        tolerated = rng.choice((0, 0, 1, 4))
        self.roles[name] = Role(body=Body(scene, count, tolerated), kind="ChildFailed")
        items: JsonValue = [*range(count)]
        config: JsonObject = {
            "body": body,
            "items": items,
            "tolerate": tolerated,
            "maxConcurrency": rng.randint(1, 3),
        }
        return node(name, "map", config=config)

    def _join(self, degree: int, is_final: bool) -> JsonValue:
        early = ["any_success", "any_success", "any_failed", f"quorum:{self.rng.randint(1, degree)}"]
        weight = 2 if self.features.losers else 1
        rule = self.rng.choice([*SLOW, *early * weight])
        if rule in early and self.features.losers and not is_final and self.rng.random() < 0.8:
            return {"rule": rule, "onLosers": "cancel"}
        return rule


def random_scene(rng: random.Random, features: Features) -> Scene:
    """A valid workflow of at most `features.size` nodes, beside compensations and `finally` nodes."""
    draft = _Draft(rng, features)
    names = [f"n{number}" for number in range(rng.randint(2, features.size))]
    draft.add(names)
    if features.undo:
        draft.undo(names)
    if features.finals and rng.random() < 0.7:
        draft.add([f"f{number}" for number in range(rng.randint(1, 3))], is_final=True)
    rng.shuffle(draft.nodes)
    rng.shuffle(draft.edges)
    options: dict[str, JsonValue] = {"onFailure": "fail_fast"} if features.fail_fast else {}
    if features.pauses:
        options["onFailure"] = "pause"
    return Scene(workflow(draft.nodes, draft.edges, **options), draft.roles)
