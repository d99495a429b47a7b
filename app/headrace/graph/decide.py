"""What follows from ended tasks: which tasks become ready, which never run, how the run ends.

Pure: the engine loads what a decision asks for, and writes what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace.graph.edges import Ending, On, resolve_edges
from headrace.graph.join import EdgeOutcome, Losers, Tally, Verdict, decide_join
from headrace.graph.plan import Plan
from headrace.graph.states import RunStatus, TaskStatus

LOST_RACE = "a join that was met no longer waits for it"

_ENDS = {
    Verdict.SKIP: TaskStatus.SKIPPED,
    Verdict.UPSTREAM_FAILED: TaskStatus.UPSTREAM_FAILED,
    Verdict.CANCEL: TaskStatus.CANCELLED,
}
_BLAMED = {
    Verdict.SKIP: EdgeOutcome.NOT_TAKEN,
    Verdict.UPSTREAM_FAILED: EdgeOutcome.FAILED,
    Verdict.CANCEL: EdgeOutcome.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a decision must know of a task that is not ended by itself."""

    status: TaskStatus
    tally: Tally


@dataclass(frozen=True, slots=True)
class Ended:
    """A task that the decision ends without running it.

    caused_by: the id of the parent whose end decided it (of one whose edge says why, if it ended now), or of
    the join that was met.
    """

    status: TaskStatus
    outcomes: str
    reason: str
    caused_by: str


@dataclass(slots=True)
class Decision:
    """What to write. tallies: the new counters of tasks that were pending.

    ready: positions to queue. ended: positions that end without running, met joins' losers among them.
    """

    tallies: dict[int, Tally] = field(default_factory=dict)
    ready: list[int] = field(default_factory=list)
    ended: dict[int, Ended] = field(default_factory=dict)


class Cascade:
    """Follows ended tasks through the graph until nothing more is decided.

    Until it `is_decided`: ask `missing()` which tasks it must know and `load()` them, cancel its `losers()`
    and tell which were `cancelled()`.

    It goes wave by wave. A join that is met gives up its losers before the next wave, so that whether one of
    them is cancelled or skipped never depends on what is loaded.
    """

    def __init__(self, plan: Plan, resolved: Mapping[int, str]) -> None:
        """resolved: the stored out-edge outcomes of tasks that ended and were not propagated yet."""
        self._plan = plan
        self._views: dict[int, TaskView] = {}
        self._wave = dict(sorted(resolved.items()))
        self._losers: dict[int, str] = {}
        self.decision = Decision()

    @property
    def is_decided(self) -> bool:
        """Whether nothing more follows."""
        return not self._wave and not self._losers

    def missing(self) -> list[int]:
        """Positions whose views are needed next; none while there are losers to cancel."""
        if self._losers:
            return []
        targets = {edge.target for position in self._wave for edge in self._plan.out(position)}
        return sorted(targets - self._views.keys())

    def load(self, views: Mapping[int, TaskView]) -> None:
        """Takes views of (at least) the missing tasks and decides as far as they reach."""
        self._views |= views
        while self._wave and not self._losers and not self.missing():
            wave, self._wave = self._wave, {}
            for target, sources in self._count(wave).items():
                self._decide(target, sources)

    def losers(self) -> dict[int, str]:
        """Tasks that met joins no longer wait for, by position, with the join's node id."""
        losers, self._losers = self._losers, {}
        return {
            position: node_id for position, node_id in losers.items() if position not in self.decision.ended
        }

    def cancelled(self, losers: Mapping[int, str]) -> None:
        """Adds losers that were really cancelled: their out-edges resolve now."""
        for position, node_id in losers.items():
            self.decision.ready = [ready for ready in self.decision.ready if ready != position]
            self._end(position, Verdict.CANCEL, node_id, LOST_RACE)

    def _count(self, wave: Mapping[int, str]) -> dict[int, dict[str, int]]:
        """Adds the wave's outcomes to the counters of their targets.

        Returns those that are pending, each with the sources of its new outcomes, by letter.
        """
        touched: dict[int, dict[str, int]] = {}
        for position, outcomes in wave.items():
            for edge, letter in zip(self._plan.out(position), outcomes, strict=True):
                view = self._views[edge.target]
                if view.status is TaskStatus.PENDING:
                    tally = view.tally.add(EdgeOutcome(letter))
                    self._views[edge.target] = TaskView(view.status, tally)
                    self.decision.tallies[edge.target] = tally
                    touched.setdefault(edge.target, {})[letter] = edge.source
        return touched

    def _decide(self, target: int, sources: Mapping[str, int]) -> None:
        node = self._plan.nodes[target]
        verdict = decide_join(node.join, self._views[target].tally)
        if verdict is Verdict.RUN:
            self._run(target)
        elif verdict is not None:
            source = sources.get(_BLAMED[verdict], max(sources.values()))
            self._end(target, verdict, self._plan.nodes[source].id, f"join '{node.join}' was not met")

    def _run(self, target: int) -> None:
        self._views[target] = TaskView(TaskStatus.QUEUED, self._views[target].tally)
        self.decision.ready.append(target)
        node = self._plan.nodes[target]
        if node.join.losers is Losers.CANCEL:
            self._losers |= dict.fromkeys(self._plan.losers(target), node.id)

    def _end(self, position: int, verdict: Verdict, cause: str, reason: str) -> None:
        status = _ENDS[verdict]
        node = self._plan.nodes[position]
        outcomes = resolve_edges(self._plan.out(position), Ending(status), node.allow_failure).outcomes
        tally = self._views[position].tally if position in self._views else Tally.fresh(len(node.in_edges))
        self._views[position] = TaskView(status, tally)
        self.decision.ended[position] = Ended(status, outcomes, reason, cause)
        self._wave[position] = outcomes


class FailureCare(StrEnum):
    """Who takes care of a failed task."""

    HANDLED = "handled"
    UNHANDLED = "unhandled"
    BY_JOINS = "by_joins"


def failure_care(plan: Plan, position: int, outcomes: str) -> FailureCare:
    """Whether a failure is handled, is not, or is left to the joins that its edges enter.

    outcomes: the task's stored out-edge outcomes.
    """
    node = plan.nodes[position]
    edges = list(zip(plan.out(position), outcomes, strict=True))
    if node.allow_failure or any(
        edge.on is On.FAILURE and letter == EdgeOutcome.TAKEN for edge, letter in edges
    ):
        return FailureCare.HANDLED
    failed = [edge for edge, letter in edges if letter == EdgeOutcome.FAILED]
    if failed and all(plan.nodes[edge.target].join.absorbs_failure for edge in failed):
        return FailureCare.BY_JOINS
    return FailureCare.UNHANDLED


def is_unhandled(plan: Plan, position: int, outcomes: str, met: frozenset[int]) -> bool:
    """Whether a failure fails its run. met: positions of the joins that were met."""
    care = failure_care(plan, position, outcomes)
    if care is FailureCare.BY_JOINS:
        edges = zip(plan.out(position), outcomes, strict=True)
        return not all(edge.target in met for edge, letter in edges if letter == EdgeOutcome.FAILED)
    return care is FailureCare.UNHANDLED


def run_verdict(
    plan: Plan, failures: Mapping[int, str], met: frozenset[int], was_cancelled: bool
) -> RunStatus:
    """How a run ends whose tasks have all ended. failures: outcomes by position of the failed tasks."""
    if any(is_unhandled(plan, position, outcomes, met) for position, outcomes in failures.items()):
        return RunStatus.FAILED
    return RunStatus.CANCELLED if was_cancelled else RunStatus.SUCCEEDED


def released_by(plan: Plan, position: int, outcomes: Mapping[int, str]) -> tuple[int, ...]:
    """The indexes of the TAKEN in-edges of a task, in edge order. outcomes: of its parents, by position."""
    return tuple(
        edge.index
        for edge in plan.into(position)
        if (letters := outcomes.get(edge.source)) and letters[edge.slot] == EdgeOutcome.TAKEN
    )
