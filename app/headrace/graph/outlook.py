"""What may happen to a node, whatever the nodes before it answer.

Every node that runs may complete on any of its branches, or fail; every condition may hold or not. Edges are
resolved by `resolve_edges` and joins decided by `decide_join`: this is no second semantics. Conditions count
as independent of each other, so that what is called impossible is impossible, and what is called possible may
still be excluded by the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import TypeAlias, TypeVar

from headrace.graph.edges import Ending, On, PlanEdge, resolve_edges
from headrace.graph.join import EdgeOutcome, Join, Tally, Verdict
from headrace.graph.plan import Plan, PlanNode
from headrace.graph.states import TaskStatus

ENDS: Mapping[Verdict, TaskStatus] = {
    Verdict.SKIP: TaskStatus.SKIPPED,
    Verdict.UPSTREAM_FAILED: TaskStatus.UPSTREAM_FAILED,
    Verdict.CANCEL: TaskStatus.CANCELLED,
}
NOTHING_YET = Tally(total=0, unresolved=0)

# An edge's outcome; None while its source has not ended.
Letter: TypeAlias = EdgeOutcome | None
T = TypeVar("T")


class Unknown(Exception):
    """There are more possibilities than are looked at."""


@dataclass(frozen=True, slots=True)
class Caps:
    """states: how many possibilities are told apart at once. steps: work for all questions together."""

    states: int = 4096
    steps: int = 500_000


CAPS = Caps()


@dataclass(frozen=True, slots=True)
class Fork:
    """The labels of a node's branches. is_exclusive: exactly one of them is taken, else any of them."""

    labels: tuple[str, ...] = ()
    is_exclusive: bool = False


NO_FORK = Fork()


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way for a node to go. status: None while it has not ended. letters: of the edges asked for.

    told: what happened, in words; '' for what goes without saying.
    """

    status: TaskStatus | None
    letters: tuple[Letter, ...]
    told: str = ""


@dataclass(slots=True)
class Outlook:
    """The possibilities of one plan. forks: by position. steps_left: what is left of the cap."""

    plan: Plan
    forks: Mapping[int, Fork]
    caps: Caps = CAPS
    steps_left: int = field(init=False)
    _failure_edges: dict[int, list[PlanEdge]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.steps_left = self.caps.steps

    def spend(self, steps: int) -> None:
        """Counts work. Raises Unknown when the cap is reached."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise Unknown

    def ways(
        self, position: int, verdict: Verdict, edges: Sequence[PlanEdge], may_fail: bool = True
    ) -> list[Way]:
        """All that a node may do after this verdict, as far as these out-edges tell. Raises Unknown."""
        node = self.plan.nodes[position]
        if verdict is not Verdict.RUN:
            status = ENDS[verdict]
            return [Way(status, _letters(edges, Ending(status), frozenset(), node.allow_failure))]
        # Whether a failure is handled decides of all edges: those that catch it are looked at, too.
        considered = [*edges, *(edge for edge in self._catching(position) if edge not in edges)]
        found: dict[tuple[TaskStatus, tuple[Letter, ...]], Way] = {}
        for ending, held, told in self._endings(node, considered, may_fail):
            letters = _letters(considered, ending, held, node.allow_failure)[: len(edges)]
            found.setdefault((ending.status, letters), Way(ending.status, letters, told))
        return list(found.values())

    def _catching(self, position: int) -> list[PlanEdge]:
        """The failure edges of a node, looked up once: it may have thousands of other edges."""
        if position not in self._failure_edges:
            out = self.plan.out(position)
            self._failure_edges[position] = [edge for edge in out if edge.on is On.FAILURE]
        return self._failure_edges[position]

    def _endings(
        self, node: PlanNode, edges: Sequence[PlanEdge], may_fail: bool
    ) -> Iterator[tuple[Ending, frozenset[int], str]]:
        """How the node may end, the edges whose conditions hold then, and how one says it."""
        asked = [edge for edge in edges if edge.when is not None]
        on_success = [edge for edge in asked if edge.on is On.SUCCESS]
        for branches, held in product(self._branch_sets(node, edges), self._subsets(on_success)):
            closed = [edge for edge in on_success if edge.index not in held]
            told = _completion(node, branches, closed, any(edge.branch for edge in edges))
            yield Ending(TaskStatus.COMPLETED, branches), held, told
        if may_fail:
            after_failure = [edge for edge in asked if edge.on is On.FAILURE or node.allow_failure]
            for held in self._subsets(after_failure):
                yield Ending(TaskStatus.FAILED), held, f"'{node.id}' fails"

    def _branch_sets(self, node: PlanNode, edges: Sequence[PlanEdge]) -> list[frozenset[str]]:
        fork = self.forks.get(node.position, NO_FORK)
        used = sorted({edge.branch for edge in edges if edge.branch is not None})
        if not used or not fork.is_exclusive:
            return [frozenset(chosen) for chosen in self._powerset(used)]
        others = [frozenset({label}) for label in fork.labels if label not in used][:1]
        return [frozenset({label}) for label in used] + others

    def _subsets(self, edges: Sequence[PlanEdge]) -> list[frozenset[int]]:
        return [frozenset(edge.index for edge in chosen) for chosen in self._powerset(edges)]

    def _powerset(self, items: Sequence[T]) -> list[list[T]]:
        """All subsets, the whole first. Raises Unknown when they are too many."""
        if len(items) >= self.caps.states.bit_length():
            raise Unknown
        picks = list(product((True, False), repeat=len(items)))
        self.spend(len(picks))
        return [[item for item, is_in in zip(items, pick, strict=True) if is_in] for pick in picks]


@lru_cache(maxsize=65_536)
def tally_with(join: Join, tally: Tally, letter: Letter) -> Tally:
    """The tally after one more edge, as small as it can be without another verdict of the join.

    Of a thousand edges that were not taken a join sees no more than of one.
    """
    bigger = replace(tally, total=tally.total + 1, unresolved=tally.unresolved + 1)
    return _shrunk(join, bigger if letter is None else bigger.add(letter))


def _shrunk(join: Join, tally: Tally) -> Tally:
    counted = tally.unresolved + tally.taken + tally.failed + tally.cancelled
    rest = min(tally.total - counted, 1)
    taken = min(tally.taken, max(join.quorum, 1))
    unresolved, failed, cancelled = (
        min(count, 1) for count in (tally.unresolved, tally.failed, tally.cancelled)
    )
    return Tally(rest + taken + unresolved + failed + cancelled, unresolved, taken, failed, cancelled)


def _letters(
    edges: Iterable[PlanEdge], ending: Ending, held: frozenset[int], allow_failure: bool
) -> tuple[EdgeOutcome, ...]:
    """The outcomes of edges when these conditions hold and the others do not."""
    settled = [
        edge if edge.when is None else replace(edge, when=None if edge.index in held else False)
        for edge in edges
    ]
    return tuple(map(EdgeOutcome, resolve_edges(settled, ending, allow_failure).outcomes))


def _completion(
    node: PlanNode, branches: frozenset[str], closed: Sequence[PlanEdge], is_branching: bool
) -> str:
    taken = ", ".join(sorted(branches)) or "no branch"
    takes = [f"'{node.id}' takes {taken}"] if is_branching else []
    blocked = [f"the condition of edge {edge.id} does not hold" for edge in closed]
    return " and ".join(takes + blocked)
