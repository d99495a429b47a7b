"""Whether runs went as their graph says: read from the tables, judged by rules of the benchmark's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from benchmarks.graphs import Graph
from headrace.graph.json_types import JsonValue

_RUNS = "SELECT id, status FROM workflow_runs WHERE id = ANY($1::uuid[]) AND status <> 'succeeded'"
_TASKS = """
SELECT run_id, node_id, node_type, status, attempt, lost, edges_unresolved, edges_taken, output
FROM workflow_tasks WHERE run_id = ANY($1::uuid[])
"""
_COMPLETIONS = """
SELECT run_id, count(*) AS events, count(DISTINCT position) AS tasks FROM workflow_events
WHERE run_id = ANY($1::uuid[]) AND type = 'task.completed' GROUP BY run_id
"""


async def wrongs(look: asyncpg.Connection, graph: Graph, runs: Sequence[UUID]) -> str:
    """What is wrong with ended runs; '' when all is well.

    A `noop`'s output is its input: so it must show the merged outputs of its parents.
    """
    bad = await look.fetch(_RUNS, runs)
    if bad:
        return f"{len(bad)} of {len(runs)} runs did not succeed: {bad[0]['id']} {bad[0]['status']}"
    tasks: dict[UUID, dict[int, asyncpg.Record]] = {run: {} for run in runs}
    for row in await look.fetch(_TASKS, runs):
        tasks[row["run_id"]][int(row["node_id"][1:])] = row
    for run, nodes in tasks.items():
        found = _wrong_run(graph, nodes) or _wrong_inputs(graph, nodes)
        if found:
            return f"run {run}: {found}"
    return await _wrong_events(look, graph, runs)


def _wrong_run(graph: Graph, nodes: Mapping[int, asyncpg.Record]) -> str:
    if nodes.keys() != set(range(graph.size)):
        return f"{len(nodes)} tasks instead of {graph.size}"
    for number, row in nodes.items():
        degree = len(graph.parents[number])
        if (row["status"], row["attempt"], row["lost"]) != ("completed", 1, 0):
            return f"node {number} is {row['status']} at attempt {row['attempt']}, lost {row['lost']} times"
        if (row["edges_unresolved"], row["edges_taken"]) != (0, degree):
            return f"node {number} has {degree} parents and counted {row['edges_taken']}"
    return ""


def _wrong_inputs(graph: Graph, nodes: Mapping[int, asyncpg.Record]) -> str:
    outputs = {number: load(row["output"]) for number, row in nodes.items()}
    for number, parents in enumerate(graph.parents):
        is_told = nodes[number]["node_type"] in ("noop", "activity") and parents
        if is_told and outputs[number] != merged([outputs[parent] for parent in parents]):
            return f"the input of node {number} is not what its parents left"
    return ""


def load(text: str | None) -> JsonValue:
    return None if text is None else json.loads(text)


def merged(outputs: Sequence[JsonValue]) -> JsonValue:
    """A node's input: its only parent's output, or the objects of several, merged in order."""
    if len(outputs) == 1:
        return outputs[0]
    objects = [output for output in outputs if isinstance(output, dict)]
    return {key: value for one in objects for key, value in one.items()}


async def _wrong_events(look: asyncpg.Connection, graph: Graph, runs: Sequence[UUID]) -> str:
    rows = await look.fetch(_COMPLETIONS, runs)
    if len(rows) != len(runs):
        return "runs without a history"
    for row in rows:
        if (row["events"], row["tasks"]) != (graph.size, graph.size):
            return f"run {row['run_id']}: {row['events']} completions of {row['tasks']} nodes recorded"
    return ""
