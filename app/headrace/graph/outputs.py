"""What a run answers: the outputs that its workflow declares, else what its last nodes gave."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.errors import HeadraceError
from headrace.graph.inputs import Result
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import Plan
from headrace.graph.states import TaskStatus
from headrace.graph.template import Scope, references, resolve


def output_positions(plan: Plan) -> list[int]:
    """The tasks whose results a run's outputs are made from."""
    if plan.outputs:
        return sorted(plan.by_id[name].position for name in references(plan.outputs) if name in plan.by_id)
    return [node.position for node in plan.nodes if not node.out_edges]


def run_outputs(plan: Plan, left: Mapping[int, Result], run_input: JsonValue) -> JsonObject:
    """A run's outputs: those that the workflow declares, else what its last nodes gave, by node id.

    left: at least the results of `output_positions`. A declared output that names what does not exist, as the
    output of a skipped node, is None.
    """
    positions = [position for position in output_positions(plan) if position in left]
    if not plan.outputs:
        return {
            plan.nodes[position].id: left[position].output
            for position in positions
            if left[position].status is TaskStatus.COMPLETED
        }
    nodes: JsonObject = {plan.nodes[position].id: _as_name(left[position]) for position in positions}
    scope = Scope(None, {"input": run_input, "nodes": nodes})
    return {name: _resolved(value, scope) for name, value in plan.outputs.items()}


def body_output(plan: Plan, left: Mapping[int, Result], run_input: JsonValue) -> JsonValue:
    """What one run of a body answers: the output of its last node, if it has one last node only.

    It depends on the graph alone, not on what happened: a last node that was skipped answers None.
    """
    outputs = run_outputs(plan, left, run_input)
    last = [node.id for node in plan.nodes if not node.out_edges and node.is_main]
    return outputs.get(last[0]) if not plan.outputs and len(last) == 1 else outputs


def _as_name(result: Result) -> JsonObject:
    """A task as templates name it; one that has not ended well has no output."""
    named: JsonObject = {"status": result.status.value, "error": result.error}
    return named | ({"output": result.output} if result.status is TaskStatus.COMPLETED else {})


def _resolved(value: JsonValue, scope: Scope) -> JsonValue:
    try:
        return resolve(value, scope)
    except HeadraceError:
        return None
