"""What a node gets: the fan-in rule and the names that its templates may use, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.errors import TooLarge
from headrace.graph.decide import released_by
from headrace.graph.edges import On
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import Plan
from headrace.graph.states import TaskStatus
from headrace.graph.template import Scope

MERGED_INPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of JSON that the outputs merged into one input may have together."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an ended task left. size: bytes of its output as JSON. input: kept of failed tasks only.

    outcomes: of its out-edges, a letter each.
    """

    status: TaskStatus
    output: JsonValue = None
    error: JsonObject | None = None
    input: JsonValue = None
    size: int = 0
    outcomes: str = ""


def node_input(
    plan: Plan, position: int, taken: Sequence[int], results: Mapping[int, Result], run_input: JsonValue
) -> JsonValue:
    """The input of a task: a root's is the run's; of one taken parent its output; of several, merged.

    What undoes another node gets that node's output.

    taken: indexes of the TAKEN in-edges. results: of their sources, by position.
    Raises TooLarge when the outputs to merge have more than MERGED_INPUT_LIMIT bytes.
    """
    if (undone := plan.nodes[position].compensates) is not None:
        return results[undone].output
    if not plan.nodes[position].in_edges:
        return run_input
    edges = [plan.edges[index] for index in taken]
    sources = {edge.source for edge in edges}
    if len(sources) > 1 and sum(results[source].size for source in sources) > MERGED_INPUT_LIMIT:
        raise TooLarge(f"the merged input of node '{plan.nodes[position].id}' is larger than 8 MiB")
    # Two edges from one parent bring the same value once: it is still "of one parent".
    ways = dict.fromkeys((edge.source, _tells_failure(edge.on, results[edge.source])) for edge in edges)
    values = [_value(results[source], tells_failure) for source, tells_failure in ways]
    return values[0] if len(values) == 1 else _merged(values)


def node_scope(
    plan: Plan, position: int, taken: Sequence[int], results: Mapping[int, Result], run: JsonObject
) -> Scope:
    """Input and names of a task's templates. run: {id, workflowId, version, input, ...}."""
    run_input = run.get("input")
    referenced: JsonObject = {
        plan.nodes[other].id: _as_name(results[other])
        for other in plan.nodes[position].references
        if other in results
    }
    parents: JsonObject = {
        plan.nodes[plan.edges[index].source].id: results[plan.edges[index].source].output for index in taken
    }
    names: JsonObject = {"input": run_input, "nodes": referenced, "parents": parents, "run": run}
    return Scope(node_input(plan, position, taken, results, run_input), names)


def needed(plan: Plan, position: int, stored: Sequence[int] | None) -> frozenset[int]:
    """Positions whose results the input and the templates of a task need: known before it runs.

    stored: the edges that released it, if that was stored; else all its parents are needed.
    """
    node = plan.nodes[position]
    edges = node.in_edges if stored is None else stored
    undone = () if node.compensates is None else (node.compensates,)
    return frozenset({plan.edges[index].source for index in edges} | {*node.references, *undone})


def taken_into(
    plan: Plan, position: int, stored: Sequence[int] | None, results: Mapping[int, Result]
) -> tuple[int, ...]:
    """The indexes of the edges that released a task: as stored, else the TAKEN ones of its in-edges.

    They need be stored only where the task was released before all its in-edges were in.
    """
    if stored is not None:
        return tuple(stored)
    letters = {source: result.outcomes for source, result in results.items()}
    return released_by(plan, position, letters)


def _tells_failure(on: On, result: Result) -> bool:
    return result.status is TaskStatus.FAILED and on is not On.SUCCESS


def _value(result: Result, tells_failure: bool) -> JsonValue:
    return {"error": result.error, "input": result.input} if tells_failure else result.output


def _merged(values: Sequence[JsonValue]) -> JsonValue:
    merged: JsonObject = {}
    for value in values:
        if isinstance(value, dict):
            merged |= value
    return merged


def _as_name(result: Result) -> JsonObject:
    return {"status": result.status.value, "output": result.output, "error": result.error}
