"""What the tables of the graph's semantics say, written down a second time and without counters.

Edges resolve to T (taken), N (not taken), F (failed) or C (cancelled); `?` is an edge that has not resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.graph.json_types import JsonObject, JsonValue
from support.graphs import Answer, Case

QUORUM = "quorum"
EARLY = frozenset({"any_success", "any_failed", QUORUM})

_MET: Mapping[str, Callable[[str], bool]] = {
    "all": lambda edges: "?" not in edges and "F" not in edges and "T" in edges,
    "all_success": lambda edges: set(edges) == {"T"},
    "all_done": lambda edges: "?" not in edges,
    "none_failed": lambda edges: "?" not in edges and "F" not in edges,
    "any_success": lambda edges: "T" in edges,
    "any_failed": lambda edges: "F" in edges,
    "all_failed": lambda edges: set(edges) == {"F"},
}


def joined(join: str, edges: str) -> str | None:
    """How a node with these in-edges goes on: `run`, or the status that it ends with, or None for not yet."""
    if is_met(join, edges):
        return "run"
    if "?" in edges:
        return None
    if "F" in edges:
        return "skipped" if join in ("any_failed", "all_failed") else "upstream_failed"
    return "cancelled" if "C" in edges else "skipped"


def is_met(join: str, edges: str) -> bool:
    rule, _, quorum = join.partition(":")
    return edges.count("T") >= int(quorum) if rule == QUORUM else _MET[rule](edges)


_RESOLVED: Mapping[str, tuple[str, str, str]] = {
    # the source ended ...        success, failure, always edge; lower case: if its condition holds, else N
    "completed": ("t", "N", "T"),
    "failed, caught": ("N", "t", "T"),
    "failed, allowed": ("t", "N", "T"),
    "failed": ("F", "N", "T"),
    "skipped": ("N", "N", "N"),
    "upstream_failed": ("F", "N", "F"),
    "cancelled": ("C", "C", "C"),
}


def resolved(
    status: str, on: Sequence[str], open_success: Sequence[bool], catches: Sequence[bool], is_allowed: bool
) -> str:
    """The outcomes of a node's out-edges, of which each follows `on[i]`.

    open_success: of success edges, whether branch and condition match, given how the node ended.
    catches: of failure edges, whether the condition holds.
    """
    row = status
    if status == "failed" and any(one == "failure" and does for one, does in zip(on, catches, strict=True)):
        row = "failed, caught"
    elif status == "failed" and is_allowed:
        row = "failed, allowed"
    letters = (_RESOLVED[row][("success", "failure", "always").index(one)] for one in on)
    holds = (catches[i] if one == "failure" else open_success[i] for i, one in enumerate(on))
    return "".join(
        letter if letter.isupper() else "T" if does else "N"
        for letter, does in zip(letters, holds, strict=True)
    )


@dataclass(slots=True)
class Expected:
    """How a run ends that nobody stops: node by node, parents first, each when all its parents have ended."""

    case: Case
    statuses: dict[str, str] = field(default_factory=dict)
    letters: dict[int, str] = field(default_factory=dict)
    edges: list[JsonObject] = field(init=False)
    nodes: dict[str, JsonObject] = field(init=False)

    def __post_init__(self) -> None:
        self.edges = objects(self.case.document["edges"])
        self.nodes = {str(one["id"]): one for one in objects(self.case.document["nodes"])}
        for name in sorted(self.nodes, key=lambda name: (name[0] != "n", int(name[1:]))):
            into = self.into(name)
            verdict = (
                joined(self.join(name), "".join(self.letters[place] for place in into)) if into else "run"
            )
            self.statuses[name] = self._answered(name) if verdict == "run" else str(verdict)
            self._resolve(name)

    @property
    def status(self) -> str:
        is_failed = any(
            status == "failed" and not self.is_handled(name) for name, status in self.statuses.items()
        )
        return "failed" if is_failed else "succeeded"

    def into(self, name: str) -> list[int]:
        return [place for place, one in enumerate(self.edges) if one["target"] == name]

    def join(self, name: str) -> str:
        join = self.nodes[name].get("join", "all")
        return str(join["rule"] if isinstance(join, dict) else join)

    def is_handled(self, name: str) -> bool:
        """Whether the failure of a node leaves the run unharmed."""
        out = [place for place, one in enumerate(self.edges) if one["source"] == name]
        caught = any(self.letters[place] == "T" for place in out if self.edges[place].get("on") == "failure")
        targets = [str(self.edges[place]["target"]) for place in out if self.letters[place] == "F"]
        absorbed = [
            self.join(target).split(":")[0] in ("any_success", QUORUM)
            and is_met(self.join(target), "".join(self.letters[place] for place in self.into(target)))
            for target in targets
        ]
        return caught or "allowFailure" in self.nodes[name] or (bool(absorbed) and all(absorbed))

    def _answered(self, name: str) -> str:
        return "failed" if self.case.answers[name].fails else "completed"

    def _resolve(self, name: str) -> None:
        out = [place for place, one in enumerate(self.edges) if one["source"] == name]
        on = [str(self.edges[place].get("on", "success")) for place in out]
        answer = self.case.answers[name]
        open_success = [_is_open(self.edges[place], answer) for place in out]
        catches = ["when" not in self.edges[place] or answer.kind == "Odd" for place in out]
        is_allowed = "allowFailure" in self.nodes[name]
        letters = resolved(self.statuses[name], on, open_success, catches, is_allowed)
        self.letters |= zip(out, letters, strict=True)


def _is_open(edge: JsonObject, answer: Answer) -> bool:
    if answer.fails:  # the only condition that random graphs have looks at the output, which is null then
        return "branch" not in edge and "when" not in edge
    return edge.get("branch") in (None, *answer.branches) and ("when" not in edge or answer.is_go)


def objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
