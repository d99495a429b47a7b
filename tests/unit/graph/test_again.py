"""What a retry in place opens again, of random runs that were stopped at random moments."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.again import Reopening, Stored, can_reopen, reopening, reused
from headrace.graph.decide import Cascade, TaskView, is_unhandled
from headrace.graph.join import EdgeOutcome, Tally
from headrace.graph.plan import Plan
from headrace.graph.states import ENDED, TaskStatus
from support.graphs import Case, Simulation, random_case

RANDOMS = st.randoms(use_true_random=False)
Tasks = dict[int, Stored]


def left_by(rng: random.Random) -> tuple[Case, Tasks]:
    """A run after so many deliveries, as a pause or a cancel finds it; or at its end."""
    case = random_case(rng)
    simulation = Simulation(case, rng)
    for _ in range(rng.choice((3, 8, 20, 1000))):
        if simulation.jobs:
            simulation.jobs.pop(rng.randrange(len(simulation.jobs)))()
    if rng.random() < 0.3:
        simulation.cancel()
    rows = enumerate(simulation.rows)
    return case, {at: Stored(row.status, row.outcomes or "", None, row.released_by) for at, row in rows}


def above(plan: Plan, position: int) -> set[int]:
    parents = {edge.source for edge in plan.into(position)}
    return parents.union(*(above(plan, parent) for parent in parents))


def ended(tasks: Tasks, positions: Iterable[int]) -> set[int]:
    return {position for position in positions if tasks[position].status in ENDED}


@given(RANDOMS)
def test_what_runs_again_stands_behind_what_failed_or_was_stopped(rng: random.Random) -> None:
    case, tasks = left_by(rng)
    plan, what = case.plan, reopening(case.plan, tasks)
    met = frozenset(at for at, task in tasks.items() if task.released_by is not None)
    main = [node.position for node in plan.nodes if node.is_main]
    wrong = {
        at
        for at in main
        if tasks[at].status is TaskStatus.CANCELLED
        or (tasks[at].status is TaskStatus.FAILED and is_unhandled(plan, at, tasks[at].outcomes, met))
    }
    opened = ended(tasks, what.reopened) & set(main)
    assert wrong <= opened
    assert all(at in wrong or above(plan, at) & wrong for at in opened)
    assert not any(tasks[at].status is TaskStatus.COMPLETED for at in opened)
    assert not any(above(plan, at) & opened for at in what.requeued)
    assert set(plan.finals) <= what.reopened
    assert can_reopen(plan, tasks) is not what.is_nothing


@pytest.mark.parametrize("seed", range(4))
def test_whoever_is_told_again_counts_once_everywhere(seed: int) -> None:
    for number in range(500):
        require_told_once(*left_by(random.Random(f"{seed} {number}")))


def require_told_once(case: Case, tasks: Tasks) -> None:
    what = reopening(case.plan, tasks)
    assert ended(tasks, what.told) == set(what.told)
    assert not what.reopened & set(what.told)
    for at in what.told:
        targets = {edge.target for edge in case.plan.out(at)}
        assert not any(tasks[one].status is TaskStatus.PENDING for one in targets - what.reopened)
    for at in what.pending:
        parents = {edge.source for edge in case.plan.into(at)}
        assert ended(tasks, parents) <= what.reopened | set(what.told)


@given(RANDOMS)
def test_counters_are_the_outcomes_of_those_who_stay(rng: random.Random) -> None:
    case, tasks = left_by(rng)
    what = reopening(case.plan, tasks)
    cascade = told_again(case.plan, tasks, what)
    over = cascade.decision.ended
    for at, tally in cascade.decision.tallies.items():
        if at in cascade.decision.ready:  # an early one does not count what comes after
            continue
        letters = [
            over[edge.source].outcomes[edge.slot]
            if edge.source in over
            else tasks[edge.source].outcomes[edge.slot]
            for edge in case.plan.into(at)
            if edge.source in over or edge.source in what.told
        ]
        assert tally.unresolved == tally.total - len(letters) >= 0
        assert tally.taken == letters.count(EdgeOutcome.TAKEN)
        assert tally.failed == letters.count(EdgeOutcome.FAILED)
        assert tally.cancelled == letters.count(EdgeOutcome.CANCELLED)


def told_again(plan: Plan, tasks: Tasks, what: Reopening) -> Cascade:
    """What follows from the retry before anything has run."""
    cascade = Cascade(plan, {at: tasks[at].outcomes for at in what.told})
    while not cascade.is_decided:
        views = {}
        for at in cascade.missing():
            fresh = Tally.fresh(len(plan.nodes[at].in_edges))
            views[at] = TaskView(TaskStatus.PENDING if at in what.pending else tasks[at].status, fresh)
        cascade.load(views)
    return cascade


def test_a_retry_of_a_run_in_which_nothing_failed_opens_nothing() -> None:
    runs = [left_by(random.Random(seed)) for seed in range(600)]
    well = [(case.plan, tasks) for case, tasks in runs if not any(map(is_wrong, tasks.values()))]
    assert len(well) > 100
    for plan, tasks in well:
        what, main = reopening(plan, tasks), {node.position for node in plan.nodes if node.is_main}
        assert not what.reopened & main
        assert what.is_nothing or ended(tasks, main) == main


def is_wrong(task: Stored) -> bool:
    return task.status in (TaskStatus.FAILED, TaskStatus.CANCELLED)


@given(RANDOMS)
def test_a_rerun_uses_nothing_again_that_ended_its_run_or_comes_after_it(rng: random.Random) -> None:
    case, tasks = left_by(rng)
    at = rng.choice(sorted(tasks))
    said = dict(tasks)
    said[at] = Stored(TaskStatus.COMPLETED, "T" * len(case.plan.nodes[at].out_edges), ends_run=True)
    kept = reused(case.plan, said, chosen=())
    assert at not in kept
    assert not any(at in above(case.plan, one) for one in kept)
