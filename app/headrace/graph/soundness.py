"""What of a valid definition will surprise: nodes that never run, joins that starve, references to nothing.

These are warnings: such a workflow can be run, and its runs end. The method and its limits are in
docs/reference/soundness.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from headrace.errors import Problem
from headrace.graph.bodies import body_document
from headrace.graph.definition import Definition, Node, parse
from headrace.graph.edges import On
from headrace.graph.join import Rule
from headrace.graph.outlook import CAPS, Caps, Fork, Outlook
from headrace.graph.plan import BODY, make_plan, own_config
from headrace.graph.prospects import Prospects, prospects
from headrace.graph.template import output_references

_NAMED_AT_MOST = 5
_COUNTED = "its in-edges are never taken together; join 'all' runs it when one is taken and none failed"
_FAILURES = "no failure reaches it: one with a failure edge or `allowFailure` is handled before"
_WAYS_OUT = "look at the branches and at what the edges before it follow: success or failure"
_REMEDIES: Mapping[Rule, str] = {
    Rule.ALL_SUCCESS: _COUNTED,
    Rule.QUORUM: _COUNTED,
    Rule.ANY_FAILED: _FAILURES,
    Rule.ALL_FAILED: _FAILURES,
}


class Forks(Protocol):
    """What the check must know of node types."""

    def fork(self, node: Node) -> Fork:
        """The branches of a node, and whether they exclude each other."""
        ...

    def has_body(self, node: Node) -> bool:
        """Whether its config holds a graph."""
        ...


def soundness(definition: Definition, forks: Forks, caps: Caps = CAPS) -> list[Problem]:
    """The warnings on a valid definition and on the bodies in it; an empty list for most."""
    found = (
        [] if is_plain(definition, forks) else list(_warnings(definition, analyse(definition, forks, caps)))
    )
    for number, node in enumerate(definition.nodes):
        if forks.has_body(node):
            inner = soundness(parse(body_document(node)), forks, caps)
            path = f"nodes[{number}].config.{BODY}"
            found += [Problem(f"{path}.{one.path}", one.message, one.hint) for one in inner]
    return found


def is_plain(definition: Definition, forks: Forks) -> bool:
    """Whether there is nothing to find, because a node can run only after all before it have completed."""
    edges_follow = all(
        edge.on is On.SUCCESS and edge.when is None and edge.branch is None for edge in definition.edges
    )
    return edges_follow and all(
        node.join_rule().rule is Rule.ALL
        and not (node.allow_failure or node.is_final or node.compensate_with or forks.fork(node).labels)
        for node in definition.nodes
    )


def analyse(definition: Definition, forks: Forks, caps: Caps = CAPS) -> Prospects:
    """Asks every question about every node of a valid definition, without its bodies."""
    plan = make_plan(definition)
    nodes = {node.id: node for node in definition.nodes}
    known = {node.position: forks.fork(nodes[node.id]) for node in plan.nodes}
    references = {name: output_references(own_config(node)) for name, node in nodes.items()}
    return prospects(Outlook(plan, known, caps), references)


def _warnings(definition: Definition, found: Prospects) -> Iterator[Problem]:
    places = {node.id: number for number, node in enumerate(definition.nodes)}
    yield from _dead(definition, found, places)
    for name, told in found.starved.items():
        yield Problem(
            f"nodes[{places[name]}].join",
            f"node '{name}' starves when {_story(told)}: an edge into it is taken, and it is skipped",
            "join 'all' runs it when at least one edge is taken and none failed",
        )
    for (name, other), told in found.missing.items():
        yield Problem(
            f"nodes[{places[name]}].config",
            f"node '{name}' may run without the output of '{other}': when {_story(told)}",
            f"`${{nodes.{other}.output?}}` is null then",
        )
    if found.unknown:
        yield Problem(
            "nodes",
            f"unknown whether {_some(found.unknown)} can run, starve or miss an output",
            "there are more possibilities than are looked at",
        )


def _dead(definition: Definition, found: Prospects, places: Mapping[str, int]) -> Iterator[Problem]:
    """Of nodes that can never run, those are told that do so of themselves, with those behind them."""
    never = frozenset(found.never)
    parents: dict[str, set[str]] = {name: set() for name in places}
    for edge in definition.edges:
        parents[edge.target].add(edge.source)
    behind: dict[str, list[str]] = {}
    cause: dict[str, str] = {}
    for name in found.never:
        culprits = sorted(parents[name] & never, key=found.never.index)
        cause[name] = name if parents[name] - never else cause[culprits[0]]
        behind.setdefault(cause[name], []).append(name)
    for name, (_, *others) in behind.items():
        note = f", nor can {_some(others)} behind it" if others else ""
        rule = definition.nodes[places[name]].join_rule().rule
        hint = _REMEDIES.get(rule, _WAYS_OUT)
        yield Problem(f"nodes[{places[name]}].join", f"node '{name}' can never run{note}", hint)


def _story(told: str) -> str:
    return told or "all goes well"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_NAMED_AT_MOST])
    more = len(names) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown
