"""Runs of random graphs: whatever the order, the batches and the duplicates, the graph says how they end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.decide import Cascade
from headrace.graph.states import ENDED, RUN_ENDED, RunStatus, TaskStatus
from headrace.graph.validate import Limits, validate
from support.graphs import Case, Ended, Kinds, Simulation, random_case
from support.oracle import Expected
from support.rules import RULES

SEEDS = range(0, 2500)
ORDERLY = Kinds()
SLOW = Kinds(early=False)
RACING = Kinds(cancel_losers=True)
STOPPING = Kinds(fail_fast=True)
RANDOMS = st.randoms(use_true_random=False)


def run(case: Case, seed: int, cancel_after: int | None = None) -> tuple[Ended, Simulation]:
    simulation = Simulation(case, random.Random(seed))
    return simulation.finish(cancel_after), simulation


def require_ended(ended: Ended, simulation: Simulation) -> None:
    """What holds of every run, however it went."""
    assert ended.status in RUN_ENDED
    assert simulation.open == 0
    assert all(row.is_propagated and row.status in ENDED for row in simulation.rows)
    assert all(row.queued <= 1 for row in simulation.rows)
    for row, node in zip(simulation.rows, simulation.case.plan.nodes, strict=True):
        assert len(row.outcomes or "") == len(node.out_edges)
        never_ran = row.status in (TaskStatus.SKIPPED, TaskStatus.UPSTREAM_FAILED)
        assert not (never_ran and row.queued)
        assert row.queued or row.status is TaskStatus.CANCELLED or never_ran


@given(RANDOMS)
def test_random_graphs_are_valid(rng: random.Random) -> None:
    assert validate(random_case(rng, RACING).definition, RULES, Limits()) == []


@given(RANDOMS, st.integers(0, 2**32))
def test_a_run_ends_as_the_tables_say(rng: random.Random, seed: int) -> None:
    case = random_case(rng, ORDERLY)
    ended, simulation = run(case, seed)
    require_ended(ended, simulation)
    expected = Expected(case)
    assert ended.tasks == expected.statuses
    assert ended.status == expected.status


def test_thousands_of_runs_end_as_the_tables_say() -> None:
    seen = set()
    for seed in SEEDS:
        case = random_case(random.Random(seed), Kinds(size=5 + seed % 12))
        ended, simulation = run(case, seed)
        require_ended(ended, simulation)
        expected = Expected(case)
        assert (seed, ended.tasks) == (seed, expected.statuses)
        assert (seed, ended.status) == (seed, expected.status)
        seen |= {ended.status.value, *ended.tasks.values()}
    assert seen == {"succeeded", "failed", "completed", "skipped", "upstream_failed"}


@given(RANDOMS, st.integers(0, 2**32), st.integers(0, 2**32))
def test_without_early_joins_nothing_depends_on_the_order(rng: random.Random, one: int, other: int) -> None:
    case = random_case(rng, SLOW)
    assert run(case, one)[0] == run(case, other)[0]


def test_a_task_is_released_by_taken_edges_that_meet_its_join() -> None:
    """With an early join, which edges these are depends on the order; that they suffice does not."""
    orders = 0
    for seed in range(600):
        case = random_case(random.Random(seed), ORDERLY)
        ends = [run(case, 2 * seed)[0], run(case, 2 * seed + 1)[0]]
        orders += ends[0].released_by != ends[1].released_by
        for ended in ends:
            for name, edges in ended.released_by.items():
                require_enough(case, name, edges, Expected(case))
    assert orders > 0


def require_enough(case: Case, name: str, edges: tuple[int, ...] | None, expected: Expected) -> None:
    node = case.plan.by_id[name]
    if edges is None or not node.in_edges:
        return
    taken = [index for index in node.in_edges if expected.letters[index] == "T"]
    match expected.join(name).partition(":"):
        case ("any_success", _, _):
            assert set(edges) <= set(taken)
            assert edges
        case ("quorum", _, needed):
            assert set(edges) <= set(taken)
            assert len(edges) >= int(needed)
        case ("any_failed", _, _):
            assert set(edges) <= set(taken)
        case _:
            assert list(edges) == taken
    assert sorted(edges) == list(edges)


def test_a_join_that_cancels_its_losers_cancels_nothing_else() -> None:
    cancelled = 0
    for seed in SEEDS:
        case = random_case(random.Random(seed), RACING)
        ended, simulation = run(case, seed)
        require_ended(ended, simulation)
        assert ended.status is not RunStatus.CANCELLED
        lost = {position for row in simulation.decisions for position in row.ended}
        losers = {
            position
            for node in case.plan.nodes
            if node.join.losers == "cancel" and simulation.rows[node.position].queued
            for position in case.plan.losers(node.position)
        }
        stopped = {p for p, row in enumerate(simulation.rows) if row.status is TaskStatus.CANCELLED}
        assert stopped <= losers & lost
        cancelled += len(stopped)
    assert cancelled > 100


def test_cancelling_losers_leaves_the_rest_as_it_was() -> None:
    """A loser's paths all lead to the join, so only losers end otherwise than without `cancel`."""
    for seed in range(800):
        case = random_case(random.Random(seed), RACING)
        expected = Expected(case)
        ended, _ = run(case, seed)
        for name, status in ended.tasks.items():
            losing = any(
                case.plan.by_id[name].position in case.plan.losers(node.position)
                for node in case.plan.nodes
                if node.join.losers == "cancel"
            )
            assert losing or (seed, name, status) == (seed, name, expected.statuses[name])


@pytest.mark.parametrize("kinds", [ORDERLY, STOPPING], ids=["finish_branches", "fail_fast"])
def test_a_run_that_is_cancelled_at_any_moment_ends_and_its_finals_run(kinds: Kinds) -> None:
    verdicts = set()
    for seed in SEEDS:
        rng = random.Random(seed)
        case = random_case(rng, kinds)
        ended, simulation = run(case, seed, cancel_after=rng.randrange(20))
        require_ended(ended, simulation)
        verdicts.add(ended.status)
        roots = [p for p in case.plan.finals if not case.plan.nodes[p].in_edges]
        assert all(simulation.rows[position].queued for position in roots)
        assert not any(simulation.rows[p].status is TaskStatus.CANCELLED for p in roots)
    assert verdicts == {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}


def test_failing_fast_changes_no_verdict() -> None:
    shortened = 0
    for seed in SEEDS:
        case = random_case(random.Random(seed), STOPPING)
        ended, simulation = run(case, seed)
        require_ended(ended, simulation)
        expected = Expected(case)
        assert (seed, ended.status) == (seed, expected.status)
        shortened += ended.tasks != expected.statuses
        for name, status in ended.tasks.items():
            assert status in ("cancelled", expected.statuses[name])
    assert shortened > 100


def test_the_same_ends_decide_nothing_a_second_time() -> None:
    for seed in range(300):
        case = random_case(random.Random(seed), RACING)
        _, simulation = run(case, seed)
        again = Cascade(case.plan, {place: row.outcomes or "" for place, row in enumerate(simulation.rows)})
        again.load({position: simulation.view(position) for position in again.missing()})
        assert (again.missing(), again.losers()) == ([], {})
        assert (again.decision.tallies, again.decision.ready, again.decision.ended) == ({}, [], {})
