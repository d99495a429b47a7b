"""The questions about a valid graph: what can never run, what starves, what is referred to in vain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.graph.edges import PlanEdge
from headrace.graph.join import EdgeOutcome, Rule, Verdict, decide_join
from headrace.graph.outlook import NOTHING_YET, Outlook, Unknown, runs_on, tally_with
from headrace.graph.plan import Plan
from headrace.graph.states import TaskStatus
from headrace.graph.walk import arrivals, tell

_COUNTING = (Rule.ALL_SUCCESS, Rule.QUORUM)
_ONLY_TAKEN = frozenset({EdgeOutcome.TAKEN})


@dataclass(slots=True)
class Prospects:
    """What was found out of a graph, by node id. The texts say how it comes to that; '' if all goes well.

    never: cannot run, parents first. starved: skipped in a run without a failure although an in-edge was
    taken. missing: by node and the node it refers to: it may run without the other's output.
    unknown: a question about it had too many possibilities.
    """

    never: list[str] = field(default_factory=list)
    starved: dict[str, str] = field(default_factory=dict)
    missing: dict[tuple[str, str], str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def prospects(outlook: Outlook, references: Mapping[str, frozenset[str]]) -> Prospects:
    """Asks every question about every node. references: which nodes' outputs a node names, by id."""
    return _Questions(outlook, references).ask()


class _Questions:
    """verdicts: by position, all that a node may get; without those that are not known."""

    def __init__(self, outlook: Outlook, references: Mapping[str, frozenset[str]]) -> None:
        self.outlook, self.references = outlook, references
        self.plan: Plan = outlook.plan
        self.verdicts: dict[int, frozenset[Verdict]] = {}
        self.found = Prospects()
        self._absences: dict[tuple[int, int], str | None] = {}

    def ask(self) -> Prospects:
        unknown: dict[str, None] = {}
        for question in (self._verdict, self._starvation, self._references):
            for node in self.plan.nodes:
                try:
                    question(node.position)
                except Unknown:
                    unknown[node.id] = None
        self.found.unknown = list(unknown)
        return self.found

    def _verdict(self, position: int) -> None:
        self.verdicts[position] = frozenset(filter(None, self._all_verdicts(position)))
        if Verdict.RUN not in self.verdicts[position]:
            self.found.never.append(self.plan.nodes[position].id)

    def _all_verdicts(self, position: int) -> Iterator[Verdict | None]:
        match self.plan.into(position):
            case []:
                yield Verdict.RUN
            case [edge]:
                yield from self._after(edge)
            case _:
                yield from (one.verdict for one in arrivals(self.outlook, position))

    def _after(self, edge: PlanEdge) -> Iterator[Verdict | None]:
        """The verdicts on a node with only this in-edge. Raises Unknown."""
        if edge.source not in self.verdicts:
            raise Unknown
        join = self.plan.nodes[edge.target].join
        for before in self.verdicts[edge.source]:
            for way in self.outlook.ways(edge.source, before, [edge]):
                yield decide_join(join, tally_with(join, NOTHING_YET, way.letters[0]))

    def _starvation(self, position: int) -> None:
        node = self.plan.nodes[position]
        may_run = Verdict.RUN in self.verdicts.get(position, ())
        if not may_run or node.join.rule not in _COUNTING or len(node.in_edges) < 2:
            return
        for one, story in arrivals(self.outlook, position, may_fail=False).items():
            if one.verdict is Verdict.SKIP and one.tally.taken:
                self.found.starved.setdefault(node.id, tell(story))

    def _references(self, position: int) -> None:
        node = self.plan.nodes[position]
        if Verdict.RUN not in self.verdicts.get(position, ()):
            return
        for name in sorted(self.references.get(node.id, ())):
            other = self.plan.by_id[name]
            if node.is_final and not other.is_final:
                self.found.missing[node.id, name] = "the run fails or is cancelled before"
            elif (told := self._absence(position, other.position)) is not None:
                self.found.missing[node.id, name] = told

    def _absence(self, position: int, other: int) -> str | None:
        """How a node may run although another has not completed; None when it cannot. Raises Unknown.

        Where a node runs only after its one parent did, the question is the parent's.
        """
        into = self.plan.into(position)
        while len(into) == 1 and runs_on(self.plan.nodes[position].join) == _ONLY_TAKEN:
            self.outlook.spend(1)
            position = into[0].source
            if position == other:
                return self._failure_that_takes(into[0])
            into = self.plan.into(position)
        if into and (position, other) not in self._absences:
            self._absences[position, other] = self._absence_at_join(position, other)
        return self._absences.get((position, other))

    def _failure_that_takes(self, edge: PlanEdge) -> str | None:
        ways = self.outlook.ways(edge.source, Verdict.RUN, [edge])
        failed = [way for way in ways if way.status is TaskStatus.FAILED]
        return next((way.told for way in failed if way.letters[0] is EdgeOutcome.TAKEN), None)

    def _absence_at_join(self, position: int, other: int) -> str | None:
        met = arrivals(self.outlook, position, watched=[other])
        absent = (one for one in met if one.verdict is Verdict.RUN and one.missing)
        return next((tell(met[one]) for one in absent), None)
