"""Random workflows with what their nodes will answer, and runs of them in memory.

`Simulation` uses `Cascade` as the engine's release does: rows with status, counters, stored outcomes and a
`propagated` mark instead of tables, and a bag of deliveries instead of queues, from which anything may come
next, and more than once.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.graph.decide import (
    Cascade,
    Decision,
    FailureCare,
    TaskView,
    failure_care,
    released_by,
    run_verdict,
)
from headrace.graph.definition import Definition, parse
from headrace.graph.edges import Ending, resolve_edges
from headrace.graph.join import EdgeOutcome, Tally
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import Plan, make_plan
from headrace.graph.settings import OnFailure
from headrace.graph.states import ENDED, TASK_MOVES, RunStatus, TaskStatus
from support.build import edge, node, workflow

BRANCHES = ("out-a", "out-b")
_T = TaskStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node will say if it runs. is_go, kind: what conditions on its edges look at."""

    fails: bool
    is_go: bool
    kind: str
    branches: frozenset[str]

    def ending(self) -> Ending:
        if self.fails:
            return Ending(_T.FAILED, error={"type": self.kind, "message": "it failed"})
        return Ending(_T.COMPLETED, self.branches, output={"go": self.is_go})


@dataclass(frozen=True, slots=True)
class Case:
    """A workflow and the answers of its nodes, by id."""

    document: JsonObject
    definition: Definition
    plan: Plan
    answers: Mapping[str, Answer]

    def node_ids(self, positions: Iterable[int]) -> list[str]:
        return [self.plan.nodes[position].id for position in positions]


@dataclass(frozen=True, slots=True)
class Kinds:
    """What random workflows may have."""

    early: bool = True
    cancel_losers: bool = False
    fail_fast: bool = False
    size: int = 9


def random_case(rng: random.Random, kinds: Kinds = Kinds()) -> Case:
    """A valid workflow of up to `kinds.size` nodes and three `finally` nodes."""
    names = [f"n{number}" for number in range(rng.randint(1, kinds.size))]
    finals = [f"f{number}" for number in range(rng.choice((0, 0, 1, 3)))]
    edges = [*_random_edges(rng, names), *_random_edges(rng, finals)]
    degrees = Counter(str(one["target"]) for one in edges)
    nodes = [_random_node(rng, name, degrees[name], kinds, name in finals) for name in names + finals]
    rng.shuffle(nodes)
    rng.shuffle(edges)
    options: dict[str, JsonValue] = {"onFailure": "fail_fast"} if kinds.fail_fast else {}
    document = workflow(nodes, edges, **options)
    definition = parse(document)
    answers = {name: _random_answer(rng) for name in names + finals}
    return Case(document, definition, make_plan(definition), answers)


def _random_edges(rng: random.Random, names: Sequence[str]) -> list[JsonObject]:
    density = rng.choice((0.2, 0.4, 0.8))
    pairs = [(a, b) for place, b in enumerate(names) for a in names[:place] if rng.random() < density]
    drawn = [_random_edge(rng, a, b) for a, b in pairs for _ in range(rng.choice((1, 1, 1, 2)))]
    return list({repr(one): one for one in drawn}.values())


def _random_edge(rng: random.Random, source: str, target: str) -> JsonObject:
    match rng.choice(("plain", "plain", "branch", "when", "failure", "failure when", "always")):
        case "branch":
            return edge(source, target, rng.choice(BRANCHES))
        case "when":
            return edge(source, target, rng.choice((None, *BRANCHES)), when={"var": "output.go"})
        case "failure":
            return edge(source, target, on="failure")
        case "failure when":
            return edge(source, target, on="failure", when={"==": [{"var": "error.type"}, "Odd"]})
        case "always":
            return edge(source, target, on="always")
        case _:
            return edge(source, target)


def _random_node(rng: random.Random, name: str, degree: int, kinds: Kinds, is_final: bool) -> JsonObject:
    decisions: JsonValue = [{"id": branch.removeprefix("out-")} for branch in BRANCHES]
    options: dict[str, JsonValue] = {"allowFailure": True} if rng.random() < 0.2 else {}
    if is_final:
        options["finally"] = True
    if degree and rng.random() < 0.7:
        options["join"] = _random_join(rng, degree, kinds)
    return node(name, "decision", config={"decisions": decisions}, **options)


def _random_join(rng: random.Random, degree: int, kinds: Kinds) -> JsonValue:
    slow = ["all", "all_success", "all_done", "none_failed", "all_failed"]
    early = ["any_success", "any_failed", f"quorum:{rng.randint(1, degree)}"]
    rule = rng.choice(slow + early * 2 if kinds.early else slow)
    if rule in early and kinds.cancel_losers and rng.random() < 0.7:
        return {"rule": rule, "onLosers": "cancel"}
    return rule


def _random_answer(rng: random.Random) -> Answer:
    branches = frozenset(branch for branch in BRANCHES if rng.random() < 0.5)
    return Answer(rng.random() < 0.3, rng.random() < 0.5, rng.choice(("Odd", "Even")), branches)


@dataclass(slots=True)
class Row:
    """One task."""

    status: TaskStatus
    tally: Tally
    outcomes: str | None = None
    is_propagated: bool = False
    released_by: tuple[int, ...] | None = None
    queued: int = 0

    def move(self, status: TaskStatus) -> None:
        """Raises ValueError for a move that the table of states does not have."""
        if status not in TASK_MOVES[self.status]:
            raise ValueError(f"{self.status} -> {status}")
        self.status = status
        self.queued += status is _T.QUEUED


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a run, by node id, for comparing."""

    status: RunStatus
    tasks: Mapping[str, str]
    released_by: Mapping[str, tuple[int, ...] | None]


@dataclass(slots=True)
class Simulation:
    """A run of a case. Every random choice (order, duplicates, batches) comes from `rng`."""

    case: Case
    rng: random.Random
    rows: list[Row] = field(init=False)
    status: RunStatus = RunStatus.RUNNING
    verdict: RunStatus | None = None
    is_in_finals: bool = False
    open: int = 0
    jobs: list[Callable[[], None]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan = self.case.plan
        self.rows = [Row(_T.PENDING, Tally.fresh(len(one.in_edges))) for one in plan.nodes]
        self.open = len(plan.nodes) - len(plan.finals)
        for root in plan.roots:
            self._queue(root, None)

    def finish(self, cancel_after: int | None = None) -> Ended:
        """Delivers until nothing is left; cancels the run after so many deliveries."""
        delivered = 0
        while self.jobs:
            if delivered == cancel_after:
                self.cancel()
            place = self.rng.randrange(len(self.jobs))
            job = self.jobs[place] if self.rng.random() < 0.1 else self.jobs.pop(place)
            job()
            delivered += 1
        ids = [one.id for one in self.case.plan.nodes]
        return Ended(
            self.status,
            {name: row.status.value for name, row in zip(ids, self.rows, strict=True)},
            {name: row.released_by for name, row in zip(ids, self.rows, strict=True)},
        )

    def cancel(self) -> None:
        if self.status is RunStatus.RUNNING and self.verdict is None:
            self.verdict = RunStatus.CANCELLED
            self._count_and_close(self._stop_rest())

    def release(self, positions: Sequence[int]) -> None:
        """The dependency check, in the order of the engine's."""
        ended = self._propagate(positions)
        cascade = Cascade(
            self.case.plan, {position: self.rows[position].outcomes or "" for position in ended}
        )
        self._cascade(cascade)
        self.decisions.append(cascade.decision)
        self._write(cascade.decision)
        count = len(ended) + len(cascade.decision.ended)
        if self._fails_fast(ended, cascade.decision):
            self.verdict = RunStatus.FAILED
            count += self._stop_rest()
        self._count_and_close(count)

    def view(self, position: int) -> TaskView:
        row = self.rows[position]
        return TaskView(row.status, row.tally)

    def _queue(self, position: int, edges: tuple[int, ...] | None) -> None:
        self.rows[position].move(_T.QUEUED)
        self.rows[position].released_by = edges
        self.jobs.append(lambda: self._claim(position))

    def _claim(self, position: int) -> None:
        if self.rows[position].status is _T.QUEUED:
            self.rows[position].move(_T.RUNNING)
            self.jobs.append(lambda: self._settle(position))

    def _settle(self, position: int) -> None:
        row, one = self.rows[position], self.case.plan.nodes[position]
        if row.status is not _T.RUNNING:
            return
        ending = self.case.answers[one.id].ending()
        row.outcomes = resolve_edges(self.case.plan.out(position), ending, one.allow_failure).outcomes
        row.move(ending.status)
        unreleased = [
            place for place, row in enumerate(self.rows) if row.status in ENDED and not row.is_propagated
        ]
        batch = unreleased if self.rng.random() < 0.3 else [position]
        self.jobs.append(lambda: self.release(batch))

    def _propagate(self, positions: Sequence[int]) -> list[int]:
        fresh = [position for position in positions if not self.rows[position].is_propagated]
        for position in fresh:
            self.rows[position].is_propagated = True
        return fresh

    def _cascade(self, cascade: Cascade) -> None:
        while not cascade.is_decided:
            cascade.load({position: self.view(position) for position in cascade.missing()})
            losers = cascade.losers()
            cascade.cancelled({place: losers[place] for place in self._cancel(losers)})

    def _cancel(self, positions: Iterable[int]) -> list[int]:
        cancelled = [position for position in positions if self.rows[position].status not in ENDED]
        for position in cancelled:
            row = self.rows[position]
            row.move(_T.CANCELLED)
            row.outcomes = EdgeOutcome.CANCELLED.value * len(self.case.plan.nodes[position].out_edges)
            row.is_propagated = True
        return cancelled

    def _write(self, decision: Decision) -> None:
        known = {
            position: row.outcomes
            for position, row in enumerate(self.rows)
            if row.is_propagated and row.outcomes is not None
        } | {position: ended.outcomes for position, ended in decision.ended.items()}
        ready = set(decision.ready)
        for position in sorted(decision.tallies.keys() | ready | decision.ended.keys()):
            row = self.rows[position]
            if row.status is not _T.PENDING:
                continue
            row.tally = decision.tallies.get(position, row.tally)
            if position in ready:
                self._queue(position, released_by(self.case.plan, position, known))
            if ended := decision.ended.get(position):
                row.move(ended.status)
                row.outcomes, row.is_propagated = ended.outcomes, True

    def _fails_fast(self, ended: Sequence[int], decision: Decision) -> bool:
        plan = self.case.plan
        if plan.on_failure is not OnFailure.FAIL_FAST or self.verdict is not None or self.is_in_finals:
            return False
        return any(one.status is _T.UPSTREAM_FAILED for one in decision.ended.values()) or any(
            failure_care(plan, position, self.rows[position].outcomes or "") is FailureCare.UNHANDLED
            for position in ended
            if self.rows[position].status is _T.FAILED
        )

    def _stop_rest(self) -> int:
        mains = [one.position for one in self.case.plan.nodes if not one.is_final]
        return len(self._cancel(mains))

    def _count_and_close(self, count: int) -> None:
        self.open -= count
        if self.open or not count:
            return
        finals = self.case.plan.finals
        if finals and not self.is_in_finals:
            self.is_in_finals, self.open = True, len(finals)
            for position in finals:
                if not self.case.plan.nodes[position].in_edges:
                    self._queue(position, ())
        else:
            self.status = self._end()

    def _end(self) -> RunStatus:
        if self.status is not RunStatus.RUNNING:
            raise ValueError("a run ended twice")
        if self.verdict is RunStatus.FAILED:
            return RunStatus.FAILED
        failures = {
            position: row.outcomes or "" for position, row in enumerate(self.rows) if row.status is _T.FAILED
        }
        met = frozenset(place for place, row in enumerate(self.rows) if row.released_by is not None)
        return run_verdict(self.case.plan, failures, met, self.verdict is RunStatus.CANCELLED)
