"""Everything that can have happened when a node's turn comes: one walk over the nodes before it.

It begins at the gate: the last node that all paths to the node lead through, whose own possibilities are
known. Histories that look alike from there on are one state: the tallies of the joins that are still open,
the ways of nodes whose other children were not visited yet, and whether the watched node has completed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from headrace.graph.edges import PlanEdge
from headrace.graph.join import Rule, Tally, Verdict, decide_join
from headrace.graph.outlook import NOTHING_YET, Letter, Outlook, Unknown, Way, tally_with
from headrace.graph.states import TaskStatus

_EARLY = (Rule.ANY_SUCCESS, Rule.ANY_FAILED, Rule.QUORUM)

# What happened, last first.
Story: TypeAlias = "tuple[str, Story] | None"


@dataclass(frozen=True, slots=True)
class Question:
    """may_fail: whether nodes fail. watched: a node whose completion matters; with it, what an early join
    does not wait for may not have ended yet. gate: where the walk begins, and the verdicts that this node may
    have got; None to begin at the roots.
    """

    may_fail: bool = True
    watched: int | None = None
    gate: tuple[int, frozenset[Verdict]] | None = None


class Arrival(NamedTuple):
    """What a node meets. verdict: None while its join is open. is_missing: the watched did not complete."""

    verdict: Verdict | None
    tally: Tally
    gate: Verdict | None
    is_missing: bool


class _State(NamedTuple):
    open: frozenset[tuple[int, Tally]]
    held: frozenset[tuple[int, Way]]
    gate: Verdict | None = None
    is_missing: bool = False


def tell(story: Story) -> str:
    """A story in the order of its events; '' if all goes as it should."""
    events: list[str] = []
    while story is not None:
        event, story = story
        events.append(event)
    return ", ".join(reversed(events))


def arrivals(outlook: Outlook, target: int, question: Question) -> Mapping[Arrival, Story]:
    """All that a node with in-edges may meet, each with one story that leads to it. Raises Unknown."""
    return _Walk(outlook, target, question).arrivals()


class _Walk:
    def __init__(self, outlook: Outlook, target: int, question: Question) -> None:
        self.outlook, self.plan = outlook, outlook.plan
        self.target, self.question = target, question
        self.gate = None if question.gate is None else question.gate[0]
        self.gate_verdicts = frozenset() if question.gate is None else question.gate[1]
        self.order = self._between()
        self.edges: dict[int, list[PlanEdge]] = {position: [] for position in self.order}
        for position in (*self.order, target):
            for edge in self._into(position):
                self.edges[edge.source].append(edge)
        self.places = {edge.index: place for edges in self.edges.values() for place, edge in enumerate(edges)}
        self.last_child = {
            into[0].source: position
            for position in (*self.order, target)
            if len(into := self._into(position)) == 1
        }
        self.may_be_late = question.watched is not None and any(
            self.plan.nodes[position].join.rule in _EARLY for position in (*self.order, target)
        )
        self._known_ways: dict[tuple[int, Verdict | None], list[Way]] = {}

    def arrivals(self) -> Mapping[Arrival, Story]:
        states: dict[_State, Story] = {_State(frozenset(), frozenset()): None}
        for position in self.order:
            states = self._visit(position, states)
        found: dict[Arrival, Story] = {}
        for state, story in states.items():
            tally, _ = self._take(self.target, state)
            verdict = decide_join(self.plan.nodes[self.target].join, tally)
            found.setdefault(Arrival(verdict, tally, state.gate, state.is_missing), story)
        return found

    def _between(self) -> list[int]:
        """Parents before children; one parent's ancestry before the next parent's, so that few stay open."""
        order: dict[int, None] = {}
        entered: set[int] = set()
        stack = [(self.target, False)]
        while stack:
            position, is_done = stack.pop()
            if is_done:
                order[position] = None
            elif position not in entered:
                entered.add(position)
                into = self._into(position)
                self.outlook.spend(1 + len(into))
                stack.append((position, True))
                stack += [(edge.source, False) for edge in reversed(into)]
        return list(order)[:-1]

    def _into(self, position: int) -> list[PlanEdge]:
        """In-edges that are walked over: none into the gate."""
        return [] if position == self.gate else self.plan.into(position)

    def _visit(self, position: int, states: Mapping[_State, Story]) -> dict[_State, Story]:
        after: dict[_State, Story] = {}
        for state, story in states.items():
            for verdict, rest in self._verdicts(position, state):
                for way in self._ways(position, verdict):
                    reached = self._give(position, way, rest)
                    self.outlook.spend(1 + len(reached.open) // 8)
                    if reached not in after:
                        after[reached] = (way.told, story) if way.told else story
        if len(after) > self.outlook.caps.states:
            raise Unknown
        return after

    def _verdicts(self, position: int, state: _State) -> list[tuple[Verdict | None, _State]]:
        """What a node gets in a state, and the state without what that used up."""
        if position == self.gate:
            return [(verdict, state._replace(gate=verdict)) for verdict in sorted(self.gate_verdicts)]
        node = self.plan.nodes[position]
        if not node.in_edges:
            return [(Verdict.RUN, state)]
        tally, rest = self._take(position, state)
        return [(decide_join(node.join, tally), rest)]

    def _take(self, position: int, state: _State) -> tuple[Tally, _State]:
        """The tally of a node whose parents have all been visited, and the state without what is used up."""
        node = self.plan.nodes[position]
        if len(node.in_edges) > 1:
            tally = dict(state.open)[position]
            return tally, state._replace(open=state.open - {(position, tally)})
        [edge] = self.plan.into(position)
        way = dict(state.held)[edge.source]
        tally = tally_with(node.join, NOTHING_YET, way.letters[self.places[edge.index]])
        if self.last_child[edge.source] != position:
            return tally, state
        return tally, state._replace(held=state.held - {(edge.source, way)})

    def _give(self, position: int, way: Way, state: _State) -> _State:
        tallies = dict(state.open)
        has_only_children = False
        for edge, letter in zip(self.edges[position], way.letters, strict=True):
            child = self.plan.nodes[edge.target]
            if len(child.in_edges) == 1:
                has_only_children = True
            else:
                tallies[edge.target] = tally_with(child.join, tallies.get(edge.target, NOTHING_YET), letter)
        is_watched = position == self.question.watched
        return state._replace(
            open=frozenset(tallies.items()),
            held=state.held | {(position, way)} if has_only_children else state.held,
            is_missing=way.status is not TaskStatus.COMPLETED if is_watched else state.is_missing,
        )

    def _ways(self, position: int, verdict: Verdict | None) -> list[Way]:
        key = (position, verdict)
        if key not in self._known_ways:
            self._known_ways[key] = self._all_ways(position, verdict)
        return self._known_ways[key]

    def _all_ways(self, position: int, verdict: Verdict | None) -> list[Way]:
        edges = self.edges[position]
        open_edges: tuple[Letter, ...] = (None,) * len(edges)
        if verdict is None:
            return [Way(None, open_edges)]
        ways = self.outlook.ways(position, verdict, edges, self.question.may_fail)
        if verdict is Verdict.RUN and self.may_be_late:
            ways.append(Way(None, open_edges, f"'{self.plan.nodes[position].id}' has not ended"))
        return ways
