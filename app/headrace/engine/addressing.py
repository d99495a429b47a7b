"""Whom people mean in a run and in what runs in it: `node`, `map[3]/node`, `loop/call/node`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from headrace.errors import NotFound, WrongState
from headrace.graph.bodies import split
from headrace.store import family
from headrace.store.db import Tx

_STEP = re.compile(r"(?P<node>.+)\[(?P<index>\d{1,9})\]")


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a run."""

    run_id: UUID
    node_id: str


async def addressed(tx: Tx, run_id: UUID, path: str) -> Place:
    """The node that a path names, in the run or in one below it.

    Without an index, a step leads to the only child of that node that has not ended. Raises NotFound for a
    node that is not there, WrongState where it has started no such child, or several and none is named.
    """
    if await family.has_node(tx, run_id, path):
        return Place(run_id, path)
    *above, node_id = split(path)
    for step in above:
        run_id = await _child(tx, run_id, step)
    return Place(run_id, node_id)


async def _child(tx: Tx, run_id: UUID, step: str) -> UUID:
    """The run that a step of a path leads to."""
    named = None if await family.has_node(tx, run_id, step) else _STEP.fullmatch(step)
    node_id, index = (step, None) if named is None else (named["node"], int(named["index"]))
    if not await family.has_node(tx, run_id, node_id):
        raise NotFound(f"Run {run_id} has no node '{node_id}'")
    found = await family.children_at(tx, run_id, node_id, index)
    if len(found) > 1:
        raise WrongState(f"Node '{node_id}' has several runs: say which, as `{node_id}[0]`")
    if not found:
        which = "run that goes on" if index is None else f"run with the number {index}"
        raise WrongState(f"Node '{node_id}' has no {which}")
    return found[0]
