"""Everything that can have happened when a node's turn comes: one walk over its ancestors.

Histories that look alike from here on are one state: the tallies of the joins that are still open, the ways
of nodes whose other children were not visited yet, and which of the watched nodes have not completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from headrace.graph.join import Rule, Tally, Verdict, decide_join
from headrace.graph.outlook import NOTHING_YET, Letter, Outlook, Unknown, Way, tally_with
from headrace.graph.states import TaskStatus

_EARLY = (Rule.ANY_SUCCESS, Rule.ANY_FAILED, Rule.QUORUM)

# What happened, last first.
Story: TypeAlias = "tuple[str, Story] | None"


class Arrival(NamedTuple):
    """What a node meets. verdict: None while its join is open. missing: the watched that did not complete."""

    verdict: Verdict | None
    tally: Tally
    missing: frozenset[int]


class _State(NamedTuple):
    open: frozenset[tuple[int, Tally]]
    held: frozenset[tuple[int, Way]]
    missing: frozenset[int]


def tell(story: Story) -> str:
    """A story in the order of its events; '' if all goes as it should."""
    events: list[str] = []
    while story is not None:
        event, story = story
        events.append(event)
    return ", ".join(reversed(events))


def arrivals(
    outlook: Outlook, target: int, may_fail: bool = True, watched: Iterable[int] = ()
) -> Mapping[Arrival, Story]:
    """All that a node with in-edges may meet, each with one story that leads to it.

    may_fail: whether nodes fail. watched: nodes whose completion matters; with them, what an early join does
    not wait for may not have ended yet. Raises Unknown.
    """
    return _Walk(outlook, target, may_fail, frozenset(watched)).arrivals()


class _Walk:
    def __init__(self, outlook: Outlook, target: int, may_fail: bool, watched: frozenset[int]) -> None:
        self.outlook, self.plan = outlook, outlook.plan
        self.target, self.may_fail, self.watched = target, may_fail, watched
        self.order = self._ancestors()
        inside = {*self.order, target}
        self.edges = {
            position: [edge for edge in self.plan.out(position) if edge.target in inside]
            for position in self.order
        }
        self.may_be_late = bool(watched) and any(
            self.plan.nodes[position].join.rule in _EARLY for position in inside
        )
        only_children = [one for one in (*self.order, target) if len(self.plan.nodes[one].in_edges) == 1]
        self.last_child = {self.plan.into(position)[0].source: position for position in only_children}
        self.places = {edge.index: place for edges in self.edges.values() for place, edge in enumerate(edges)}
        self._known_ways: dict[tuple[int, Verdict | None], list[Way]] = {}

    def arrivals(self) -> Mapping[Arrival, Story]:
        states: dict[_State, Story] = {_State(frozenset(), frozenset(), frozenset()): None}
        for position in self.order:
            states = self._visit(position, states)
        found: dict[Arrival, Story] = {}
        for state, story in states.items():
            tally, _ = self._take(self.target, state)
            verdict = decide_join(self.plan.nodes[self.target].join, tally)
            found.setdefault(Arrival(verdict, tally, state.missing), story)
        return found

    def _ancestors(self) -> list[int]:
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
                into = self.plan.into(position)
                self.outlook.spend(len(into))
                stack.append((position, True))
                stack += [(edge.source, False) for edge in reversed(into)]
        return list(order)[:-1]

    def _visit(self, position: int, states: Mapping[_State, Story]) -> dict[_State, Story]:
        node = self.plan.nodes[position]
        after: dict[_State, Story] = {}
        for state, story in states.items():
            tally, rest = self._take(position, state)
            verdict = decide_join(node.join, tally) if node.in_edges else Verdict.RUN
            for way in self._ways(position, verdict):
                reached = self._give(position, way, rest)
                self.outlook.spend(1 + len(reached.open) + len(reached.held))
                if reached not in after:
                    after[reached] = (way.told, story) if way.told else story
        if len(after) > self.outlook.caps.states:
            raise Unknown
        return after

    def _take(self, position: int, state: _State) -> tuple[Tally, _State]:
        """The tally of a node whose parents have all been visited, and the state without what is used up."""
        match self.plan.into(position):
            case []:
                return NOTHING_YET, state
            case [edge]:
                way = dict(state.held)[edge.source]
                letter = way.letters[self.places[edge.index]]
                tally = tally_with(self.plan.nodes[position].join, NOTHING_YET, letter)
                if self.last_child[edge.source] != position:
                    return tally, state
                return tally, state._replace(held=state.held - {(edge.source, way)})
            case _:
                tally = dict(state.open)[position]
                return tally, state._replace(open=state.open - {(position, tally)})

    def _give(self, position: int, way: Way, state: _State) -> _State:
        tallies = dict(state.open)
        has_only_children = False
        for edge, letter in zip(self.edges[position], way.letters, strict=True):
            child = self.plan.nodes[edge.target]
            if len(child.in_edges) == 1:
                has_only_children = True
            else:
                tallies[edge.target] = tally_with(child.join, tallies.get(edge.target, NOTHING_YET), letter)
        is_missing = position in self.watched and way.status is not TaskStatus.COMPLETED
        return _State(
            frozenset(tallies.items()),
            state.held | {(position, way)} if has_only_children else state.held,
            state.missing | {position} if is_missing else state.missing,
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
        ways = self.outlook.ways(position, verdict, edges, self.may_fail)
        if verdict is Verdict.RUN and self.may_be_late:
            ways.append(Way(None, open_edges, f"'{self.plan.nodes[position].id}' has not ended"))
        return ways
