"""Whether a task that is ready may be delivered now, or waits for somebody to let it go."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.graph.bodies import names_node, within
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.states import RunStatus


@dataclass(frozen=True, slots=True)
class Debug:
    """How a run is debugged. breakpoints: paths of nodes before which it stops. steps: it stops before each.

    A node of a body is named by its path: `map/node`. See `headrace.graph.bodies`.
    """

    breakpoints: frozenset[str] = frozenset()
    steps: bool = False

    @classmethod
    def read(cls, value: JsonValue) -> Debug:
        """Reads what `as_json` wrote; None is no debugging."""
        if not isinstance(value, dict):
            return cls()
        named = value.get("breakpoints")
        names = frozenset(map(str, named)) if isinstance(named, list) else frozenset()
        return cls(names, value.get("steps") is True)

    def as_json(self) -> JsonObject:
        return {"breakpoints": [*sorted(self.breakpoints)], "steps": self.steps}

    def as_stored(self) -> JsonObject | None:
        """None when nothing stops."""
        return None if self == Debug() else self.as_json()

    def within(self, node_id: str) -> Debug:
        """How the runs of a node's body are debugged."""
        return Debug(frozenset(within(dict.fromkeys(self.breakpoints), node_id)), self.steps)

    def stops_before(self, node_id: str) -> bool:
        return self.steps or not self.breakpoints.isdisjoint(names_node(node_id))


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a ready task is not delivered. held_for: a breakpoint, None when only the pause holds it."""

    is_paused: bool
    held_for: str | None = None


def hold_for(status: RunStatus, debug: Debug, node_id: str) -> Hold | None:
    """What holds a task of a run that was just released; None when nothing does."""
    is_paused = status is RunStatus.PAUSED
    held_for = f"breakpoint {node_id}" if debug.stops_before(node_id) else None
    return Hold(is_paused, held_for) if is_paused or held_for else None
