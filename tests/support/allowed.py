"""Which ends of a run the graph allows, found by trying: one, or several where timing may decide.

It knows the tables of `support.oracle` and nothing of the engine: no counters, no batches, no shortcuts. A
run moves by three kinds of steps, in any order: a node answers, an ended node's successors are told, somebody
cancels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from headrace.graph.json_types import JsonObject
from support.oracle import QUORUM, joined, objects, resolved
from support.scenes import Body, Role, Scene

OPEN = ("pending", "active")
MET = ("active", "completed", "failed", "dropped")
"""`dropped`: cancelled after its join was met; seen from outside it is cancelled."""


class End(NamedTuple):
    """How a run ended. was_cancelled: somebody asked for it, and was not refused."""

    tasks: Mapping[str, str]
    status: str
    was_cancelled: bool


class State(NamedTuple):
    """A run's main phase. told: those whose successors know of their end.

    verdict: how the run is going to end: `cancel`, `fast`, or `ends <status>`. is_asked: by a cancel.
    """

    statuses: tuple[str, ...]
    told: frozenset[int]
    verdict: str = ""
    is_asked: bool = False


@dataclass
class Allowed:
    """The ends of a scene's runs. index: of the item or the iteration, when it is a body."""

    scene: Scene
    index: int = 0
    nodes: dict[str, JsonObject] = field(init=False)
    edges: list[JsonObject] = field(init=False)
    main: list[str] = field(init=False)

    def __post_init__(self) -> None:
        document = self.scene.document
        self.edges = objects(document["edges"])
        self.nodes = {str(one["id"]): one for one in objects(document["nodes"])}
        beside = {str(one.get("compensateWith")) for one in self.nodes.values()}
        self.main = [name for name, one in self.nodes.items() if name not in beside and "finally" not in one]
        self.is_fast = document.get("onFailure") == "fail_fast"

    def has(self, end: End) -> bool:
        """Whether a run may end so."""
        goal = tuple(end.tasks[name] for name in self.main)
        start = self._start()
        waiting, seen = [start], {start}
        while waiting:
            state = waiting.pop()
            if self._is_over(state) and end in self._ends(state):
                return True
            for follows in self._steps(state, end.was_cancelled):
                if follows not in seen and _leads_to(follows, goal):
                    seen.add(follows)
                    waiting.append(follows)
        return False

    def any_status(self) -> str:
        """How a run ends that nobody cancels, when it is the same in whatever order."""
        state = self._start()
        while not self._is_over(state):
            state = next(self._steps(state, is_cancelled=False))
        return next(self._ends(state)).status

    def _start(self) -> State:
        return State(tuple("pending" if self._into(name) else "active" for name in self.main), frozenset())

    def _is_over(self, state: State) -> bool:
        return len(state.told) == len(self.main) or bool(state.verdict)

    def _steps(self, state: State, is_cancelled: bool) -> Iterator[State]:
        for place, status in enumerate(state.statuses):
            if status == "active":
                answered = "failed" if self.fails(self.main[place]) else "completed"
                yield state._replace(statuses=_with(state.statuses, {place: answered}))
            elif status not in OPEN and place not in state.told:
                yield from self._tell(state, place)
        if is_cancelled and not state.verdict:
            for verdict in self._said(state) or {"cancel"}:
                yield _stopped(state, verdict)._replace(is_asked=True)

    def _said(self, state: State) -> set[str]:
        """How nodes have ended the run, although nobody was told yet: they were before who cancels now."""
        done = [name for name, status in zip(self.main, state.statuses, strict=True) if status == "completed"]
        return {f"ends {ends}" for name in done if (ends := self.scene.roles[name].ends)}

    def fails(self, name: str) -> bool:
        role = self.scene.roles[name]
        return self.index in role.fails if role.body is None else self._body_fails[name]

    @cached_property
    def _body_fails(self) -> dict[str, bool]:
        return {name: _fails(role.body) for name, role in self.scene.roles.items() if role.body is not None}

    def _tell(self, state: State, place: int) -> Iterator[State]:
        """What follows from a node's end, all at once."""
        name, status = self.main[place], state.statuses[place]
        for statuses in self._spread(state.statuses, state.told | {place}, []):
            news = [at for at, one in enumerate(statuses) if one != state.statuses[at]]
            told = state.told | {place, *(at for at in news if statuses[at] not in OPEN)}
            after = State(statuses, told, state.verdict)
            ends = self.scene.roles[name].ends
            spreads = any(statuses[at] == "upstream_failed" for at in news)
            fails = status == "failed" and self._is_nobodys(name)
            if ends and status == "completed":
                yield _stopped(after, f"ends {ends}")
            elif self.is_fast and (spreads or fails):
                yield _stopped(after, "fast")
            else:
                yield after

    def _spread(
        self, statuses: tuple[str, ...], told: frozenset[int], met: list[str]
    ) -> Iterator[tuple[str, ...]]:
        """Joins decide until none is left that can. A join that was met gives up its losers sooner or later:
        news of several nodes may come together, and each spreads on while the other meets the join.

        met: the joins that were met and still have their losers.
        """
        letters = self._letters({self.main[at]: statuses[at] for at in told})
        verdicts = {
            at: joined(self._rule(name), self._vector(name, letters))
            for at, name in enumerate(self.main)
            if statuses[at] == "pending"
        }
        decided = {at: "active" if it == "run" else it for at, it in verdicts.items() if it is not None}
        lost = self._lost(met, statuses)
        if not decided and not lost:
            yield statuses
        for changes, left in ((decided, met), (lost, [])):
            if changes:
                gone = {at for at, it in changes.items() if it not in OPEN}
                begun = [self.main[at] for at, it in changes.items() if it == "active"]
                yield from self._spread(_with(statuses, changes), told | gone, [*left, *begun])

    def _lost(self, met: list[str], statuses: tuple[str, ...]) -> dict[int, str]:
        joins = [name for name in met if isinstance(self.nodes[name].get("join"), dict)]
        return {
            at: "dropped" if statuses[at] == "active" else "cancelled"
            for at, name in enumerate(self.main)
            if statuses[at] in OPEN and any(name != join and self._all_paths(name, join) for join in joins)
        }

    def _all_paths(self, name: str, join: str) -> bool:
        """Whether whoever goes on from here comes to the join."""
        targets = [str(one["target"]) for one in self.edges if one["source"] == name]
        return name == join or (bool(targets) and all(self._all_paths(target, join) for target in targets))

    def _ends(self, state: State) -> Iterator[End]:
        """Compensations and `finally` nodes: what they do, timing does not change."""
        tasks = dict(zip(self.main, state.statuses, strict=True))
        undoes = {
            str(one["compensateWith"]): name for name, one in self.nodes.items() if "compensateWith" in one
        }
        is_well = self._status(tasks, state.verdict) == "succeeded"
        for undo, name in undoes.items():
            is_due = tasks[name] == "completed" and not is_well
            tasks[undo] = ("failed" if self.fails(undo) else "completed") if is_due else "skipped"
        finals = self._finals()
        tasks |= finals
        seen = {name: "cancelled" if status == "dropped" else status for name, status in tasks.items()}
        yield End(seen, self._status(tasks, state.verdict), state.is_asked)
        goes_on = bool(finals) or any(tasks[undo] != "skipped" for undo in undoes)
        if not state.verdict and goes_on:
            yield End(seen, self._status(tasks, "cancel"), was_cancelled=True)

    def _finals(self) -> dict[str, str]:
        statuses: dict[str, str] = {}
        for name in sorted(name for name, one in self.nodes.items() if "finally" in one):
            vector = self._vector(name, self._letters(statuses))
            verdict = joined(self._rule(name), vector) if vector else "run"
            statuses[name] = (
                ("failed" if self.fails(name) else "completed") if verdict == "run" else str(verdict)
            )
        return statuses

    def _status(self, tasks: Mapping[str, str], verdict: str) -> str:
        if verdict in ("fast", "ends failed"):
            return "failed"
        failed = [
            name for name, status in tasks.items() if status == "failed" and not self._is_handled(name, tasks)
        ]
        is_said = verdict in ("ends succeeded", "ends cancelled")
        if any(name not in self.main or not is_said for name in failed):
            return "failed"
        return "cancelled" if verdict in ("cancel", "ends cancelled") else "succeeded"

    def _is_nobodys(self, name: str) -> bool:
        """Whether the failure of a node is unhandled whatever comes."""
        letters = self._letters({name: "failed"})
        hurt = [str(self.edges[place]["target"]) for place, letter in letters.items() if letter == "F"]
        absorbed = bool(hurt) and all(
            self._rule(one).split(":")[0] in ("any_success", QUORUM) for one in hurt
        )
        return not absorbed and not self._is_caught(name, letters)

    def _is_handled(self, name: str, tasks: Mapping[str, str]) -> bool:
        letters = self._letters({name: "failed"})
        hurt = [str(self.edges[place]["target"]) for place, letter in letters.items() if letter == "F"]
        all_met = all(tasks[target] in MET for target in hurt)
        return self._is_caught(name, letters) or (not self._is_nobodys(name) and all_met)

    def _is_caught(self, name: str, letters: Mapping[int, str]) -> bool:
        taken = [place for place, letter in letters.items() if letter == "T"]
        return "allowFailure" in self.nodes[name] or any(
            self.edges[place].get("on") == "failure" for place in taken
        )

    def _letters(self, ended: Mapping[str, str]) -> dict[int, str]:
        """How the edges out of ended nodes resolved, by edge."""
        letters: dict[int, str] = {}
        for name, status in ended.items():
            out = [place for place, one in enumerate(self.edges) if one["source"] == name]
            drawn = [self.edges[place] for place in out]
            role = self.scene.roles[name]
            letters |= zip(
                out,
                resolved(
                    "cancelled" if status == "dropped" else status,
                    [str(one.get("on", "success")) for one in drawn],
                    [_is_open(one, role, status) for one in drawn],
                    ["when" not in one or role.kind == "Odd" for one in drawn],
                    "allowFailure" in self.nodes[name],
                ),
                strict=True,
            )
        return letters

    def _into(self, name: str) -> list[int]:
        return [place for place, one in enumerate(self.edges) if one["target"] == name]

    def _vector(self, name: str, letters: Mapping[int, str]) -> str:
        return "".join(letters.get(place, "?") for place in self._into(name))

    def _rule(self, name: str) -> str:
        join = self.nodes[name].get("join", "all")
        return str(join["rule"] if isinstance(join, dict) else join)


def _is_open(edge: JsonObject, role: Role, status: str) -> bool:
    if status == "failed":
        return "branch" not in edge and "when" not in edge
    return edge.get("branch") in (None, *role.branches) and ("when" not in edge or role.is_go)


def _fails(body: Body) -> bool:
    """Whether a map or a loop fails: its items, which end as they must."""
    ends = [Allowed(body.scene, index).any_status() for index in range(body.count)]
    return sum(status != "succeeded" for status in ends) > body.tolerated


def _with(statuses: tuple[str, ...], changes: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(changes.get(place, status) for place, status in enumerate(statuses))


def _stopped(state: State, verdict: str) -> State:
    """All that has not ended is cancelled; what ended and was not told tells nobody any more."""
    if state.verdict:
        return state
    stops = {"pending": "cancelled", "active": "dropped"}
    return State(tuple(stops.get(status, status) for status in state.statuses), state.told, verdict)


def _leads_to(state: State, goal: tuple[str, ...]) -> bool:
    """What has ended stays as it is."""
    return all(
        status in OPEN or status == end or (status == "dropped" and end == "cancelled")
        for status, end in zip(state.statuses, goal, strict=True)
    )
