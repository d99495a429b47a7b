"""Nodes that people name in a run, by paths: `node`, or `map/node` in a body or a sub-workflow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from headrace.engine.program import Engine, Program
from headrace.errors import InvalidInput, Problem
from headrace.graph.bodies import path_into, split
from headrace.graph.holding import Debug
from headrace.graph.json_types import JsonObject
from headrace.graph.mocks import mock_problems
from headrace.nodes.sub_workflow import SubWorkflowConfig
from headrace.store import workflows
from headrace.store.db import Tx
from headrace.store.runs import ProgramKey


@dataclass(frozen=True, slots=True)
class Place:
    """A graph, with what a run of it executes. path: of the node whose body it is, '' for the whole run."""

    key: ProgramKey
    program: Program
    path: str = ""

    def problem(self, name: str) -> str:
        return f"there is no node '{name}'" + (f" in '{self.path}'" if self.path else "")


@dataclass(frozen=True, slots=True)
class Named:
    """What a path leads to. node_id: in the graph of this place, None where only the run will tell."""

    place: Place
    node_id: str | None

    @property
    def branches(self) -> tuple[str, ...] | None:
        """The labels of its out-edges, if they are known."""
        program = self.place.program
        if self.node_id is None:
            return None
        position = program.plan.by_id[self.node_id].position
        return program.types[position].branches(program.configs[position])


async def find_named(engine: Engine, tx: Tx, place: Place, path: str) -> Named | str:
    """The node that a path names from a place on, or why there is none."""
    if path in place.program.plan.by_id:
        return Named(place, path)
    *above, last = split(path)
    for name in above:
        if name not in place.program.plan.by_id:
            return place.problem(name)
        inner = await _into(engine, tx, place, name)
        if not isinstance(inner, Place):
            return inner or Named(place, None)
        place = inner
    return Named(place, last) if last in place.program.plan.by_id else place.problem(last)


async def _into(engine: Engine, tx: Tx, place: Place, name: str) -> Place | str | None:
    """The graph inside a node, or why there is none; None when only the run will tell."""
    position = place.program.plan.by_id[name].position
    config = place.program.configs[position]
    path = path_into(place.path, name)
    if place.program.types[position].has_body:
        key = place.key._replace(body=path_into(place.key.body, name))
    elif not isinstance(config, SubWorkflowConfig):
        return f"node '{path}' has nothing inside"
    elif not config.wait:
        return f"node '{path}' does not wait for its workflow: nothing reaches into it"
    elif "${" in config.workflow:
        return None
    else:
        known = await keys_named(tx, config.workflow, place.program.project)
        if len(known) != 1:
            return f"node '{path}' calls no workflow that is there"
        key = known[0] if config.version is None else known[0]._replace(version=config.version)
    return Place(key, await engine.programs.one(tx, key), path)


async def keys_named(tx: Tx, name: str, project: str) -> list[ProgramKey]:
    """The current versions of the workflows with this name in a project, or with this id in any."""
    ids = [UUID(name)] if _is_id(name) else await workflows.by_name(tx, name, project)
    versions = {one: await workflows.current_version(tx, one) for one in ids}
    return [ProgramKey(one, version) for one, version in versions.items() if version is not None]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name.lower()
    except ValueError:
        return False


async def require_named(
    engine: Engine, tx: Tx, place: Place, debug: Debug, mocks: JsonObject | None = None
) -> None:
    """Raises InvalidInput for breakpoints and mocks of nodes that are not there, and for bad mocks."""
    problems = await _unknown(engine, tx, place, debug.breakpoints)
    for name, mock in sorted((mocks or {}).items()):
        found = await find_named(engine, tx, place, name)
        if isinstance(found, str):
            problems.append(Problem("mocks", found))
        else:
            problems += [
                Problem(f"mocks.{name}.{one.path}".rstrip("."), one.message, one.hint)
                for one in mock_problems(mock, found.branches)
            ]
    if problems:
        what = "The breakpoints are not valid" if mocks is None else "The run cannot be started so"
        raise InvalidInput(what, problems)


async def _unknown(engine: Engine, tx: Tx, place: Place, breakpoints: Iterable[str]) -> list[Problem]:
    found = {name: await find_named(engine, tx, place, name) for name in sorted(breakpoints)}
    return [Problem("breakpoints", one) for one in found.values() if isinstance(one, str)]
