"""The questions about a valid graph: what can never run, what starves, what is referred to in vain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.graph.join import Rule, Verdict
from headrace.graph.outlook import NOTHING_YET, Outlook, Unknown
from headrace.graph.plan import Plan
from headrace.graph.walk import Arrival, Question, Story, arrivals, tell

_COUNTING = (Rule.ALL_SUCCESS, Rule.QUORUM)
_ONLY_IF_IT_RAN = frozenset({Verdict.RUN})


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
    """verdicts: by `may_fail` and position, all that a node may get; nothing of those that are unknown.

    leading: by position, the verdicts on a node's gate after which it may run.
    """

    def __init__(self, outlook: Outlook, references: Mapping[str, frozenset[str]]) -> None:
        self.outlook, self.references = outlook, references
        self.plan: Plan = outlook.plan
        self.gates = _gates(self.plan)
        self.verdicts: dict[bool, dict[int, frozenset[Verdict]]] = {True: {}, False: {}}
        self.leading: dict[int, frozenset[Verdict | None]] = {}
        self.found = Prospects()
        self._absences: dict[tuple[int, int], str | None] = {}

    def ask(self) -> Prospects:
        unknown: dict[str, None] = {}
        is_counting = any(node.join.rule in _COUNTING for node in self.plan.nodes)
        for question in (self._life, *((self._starvation,) if is_counting else ()), self._references):
            for node in self.plan.nodes:
                try:
                    question(node.position)
                except Unknown:
                    unknown[node.id] = None
        self.found.unknown = list(unknown)
        return self.found

    def _life(self, position: int) -> None:
        met = self._met(position, may_fail=True)
        self.leading[position] = frozenset(one.gate for one in met if one.verdict is Verdict.RUN)
        if not self.leading[position]:
            self.found.never.append(self.plan.nodes[position].id)

    def _starvation(self, position: int) -> None:
        node = self.plan.nodes[position]
        met = self._met(position, may_fail=False)
        if node.join.rule not in _COUNTING or not self.leading.get(position):
            return
        for one, story in met.items():
            if one.verdict is Verdict.SKIP and one.tally.taken:
                self.found.starved.setdefault(node.id, tell(story))

    def _met(self, position: int, may_fail: bool) -> Mapping[Arrival, Story]:
        """All that the node may meet; notes the verdicts. Raises Unknown."""
        if self.plan.nodes[position].in_edges:
            met = arrivals(self.outlook, position, Question(may_fail, gate=self._gate(position, may_fail)))
        else:
            met = {Arrival(Verdict.RUN, NOTHING_YET, None, False): None}
        self.verdicts[may_fail][position] = frozenset(one.verdict for one in met if one.verdict is not None)
        return met

    def _gate(self, position: int, may_fail: bool = True) -> tuple[int, frozenset[Verdict]] | None:
        gate = self.gates[position]
        if gate is None:
            return None
        if gate not in self.verdicts[may_fail]:
            raise Unknown
        return gate, self.verdicts[may_fail][gate]

    def _references(self, position: int) -> None:
        node = self.plan.nodes[position]
        if not self.leading.get(position):
            return
        for name in sorted(self.references.get(node.id, ())):
            other = self.plan.by_id[name]
            if node.is_final and not other.is_final:
                self.found.missing[node.id, name] = "the run fails or is cancelled before"
            elif (told := self._absence(position, other.position)) is not None:
                self.found.missing[node.id, name] = told

    def _absence(self, position: int, other: int) -> str | None:
        """How a node may run although one before it has not completed; None when it cannot. Raises Unknown.

        Where a node runs only if its gate did, what is missing before the gate is the gate's question.
        """
        while (gate := self.gates[position]) is not None and gate > other:
            if self.leading[position] != _ONLY_IF_IT_RAN:
                gate = None
                break
            self.outlook.spend(1)
            position = gate
        if (position, other) not in self._absences:
            begin = None if gate is None else self._gate(position)
            self._absences[position, other] = self._missing_at(position, Question(True, other, begin))
        return self._absences[position, other]

    def _missing_at(self, position: int, question: Question) -> str | None:
        met = arrivals(self.outlook, position, question)
        return next((tell(met[one]) for one in met if one.verdict is Verdict.RUN and one.is_missing), None)


def _gates(plan: Plan) -> list[int | None]:
    """For each node the last one that all paths to it lead through, if there is one."""
    gates: list[int | None] = []
    for node in plan.nodes:
        sources: list[int | None] = [edge.source for edge in plan.into(node.position)]
        gate = sources[0] if sources else None
        for source in sources[1:]:
            while gate != source and gate is not None and source is not None:
                if gate > source:
                    gate = gates[gate]
                else:
                    source = gates[source]
            gate = gate if gate == source else None
        gates.append(gate)
    return gates
