"""Why tasks do not run, from facts alone: the words, the data, and chains of any length and width."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.children import Batch
from headrace.graph.definition import parse
from headrace.graph.explain import DEEPEST, Explanation, explain_node, explain_run
from headrace.graph.explain_causes import Cause, CauseKind, sentence
from headrace.graph.explain_chains import SHOWN
from headrace.graph.explain_facts import Facts, Holder, QueueLook, RefusedSignal, RunFacts, TaskFacts
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.graph.plan import Plan, make_plan
from headrace.graph.states import RunStatus, TaskStatus
from support.build import chain, edge, node, workflow
from support.graphs import Simulation, random_case

RUN, OTHER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
EARLIER = NOW - timedelta(minutes=3)
AT_LATER, AT_EARLIER = "2026-11-21 14:00:00 UTC", "2026-11-21 11:57:00 UTC"
T = TaskStatus
K = CauseKind
HOLDER = Holder(OTHER, EARLIER)
REFUSED = RefusedSignal("4711", "n: no number")


def planned(document: JsonObject) -> Plan:
    return make_plan(parse(document))


def a_task(status: TaskStatus, position: int = 0, **facts: object) -> TaskFacts:
    return replace(TaskFacts(position, f"n{position}", status), **facts)  # type: ignore[arg-type]


def facts_of(plan: Plan, *tasks: TaskFacts, status: RunStatus = RunStatus.RUNNING) -> Facts:
    run = RunFacts(RUN, plan, status, {task.position: task for task in tasks})
    listeners = {"workflow-tasks": 1}
    return Facts(NOW, {RUN: run}, 1, listeners, key_holders={"K": [replace(HOLDER, node_id="a")]})


def texts(explanation: Explanation) -> Mapping[str, str]:
    return {task.node_id: task.text for task in explanation.tasks}


def alone(task: TaskFacts, **more: object) -> str:
    """What is said of a task that stands alone."""
    facts = replace(facts_of(planned(chain(1)), task), **more)  # type: ignore[arg-type]
    return texts(explain_run(facts, RUN))["n0"]


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        ({"waits_for": "timer", "wake_at": LATER}, f"waits until {AT_LATER}"),
        (
            {"waits_for": "retry", "wake_at": LATER, "attempt": 2, "error": "HttpError: 503"},
            f"waits for attempt 3 after HttpError: 503 until {AT_LATER}",
        ),
        ({"waits_for": "signal", "signal": "go"}, "waits for signal go"),
        ({"waits_for": "signal", "signal": "go", "wake_at": LATER}, f"waits for signal go until {AT_LATER}"),
        ({"waits_for": "mine", "signal": "go"}, "waits for signal go"),
        (
            {"waits_for": "signal", "signal": "go", "wake_at": LATER, "refused": REFUSED},
            f"waits for signal go until {AT_LATER} (signal 4711 came early and was refused: n: no number)",
        ),
        (
            {"waits_for": "approval", "signal": "approval:n0", "asks": "Pay?", "refused": REFUSED},
            'waits for an approval "Pay?" (signal 4711 came early and was refused: n: no number)',
        ),
        ({"waits_for": "approval", "signal": "approval:n0"}, "waits for an approval"),
        (
            {"waits_for": "approval", "signal": "approval:n0", "asks": "Pay?", "wake_at": LATER},
            f'waits for an approval "Pay?" until {AT_LATER}',
        ),
        (
            {"waits_for": "question", "signal": "q", "asks": "Who?", "asks_whom": "Ada"},
            'waits for an answer of Ada to its question "Who?"',
        ),
        (
            {"waits_for": "question", "signal": "q", "wake_at": LATER},
            f"waits for an answer to its question until {AT_LATER}",
        ),
        ({"waits_for": "poll", "wake_at": LATER}, f"polls again at {AT_LATER}"),
        (
            {"waits_for": "condition", "wake_at": LATER, "signal": "look"},
            f"looks at its condition again at {AT_LATER}, or at signal look",
        ),
        ({"waits_for": "the moon", "wake_at": LATER}, f"waits for the moon until {AT_LATER}"),
        (
            {"waits_for": "children", "batch": Batch(100, 50, 0, 57, 7, 1)},
            "waits for its children (7 of 100 have ended, 1 of them badly, at most 50 at once)",
        ),
        ({"waits_for": "children", "wake_at": LATER}, f"waits for its children until {AT_LATER}"),
        ({"held_for": "key K"}, f"waits for key K, held by run {OTHER} (node a) since {AT_EARLIER}"),
        ({"held_for": "key free"}, "waits for key free"),
        (
            {"held_for": "rate mail now", "wake_at": LATER},
            f"waits for the rate limit mail now until {AT_LATER}",
        ),
        ({"held_for": "breakpoint n0"}, "stands at the breakpoint before node n0"),
        ({"is_paused": True, "wake_at": EARLIER, "waits_for": "timer"}, "is held by the pause of its run"),
        (
            {"is_paused": True, "wake_at": LATER, "waits_for": "timer"},
            f"is held by the pause of its run; waits until {AT_LATER}",
        ),
        (
            {"is_paused": True, "wake_at": EARLIER, "held_for": "breakpoint n0"},
            "is held by the pause of its run; stands at the breakpoint before node n0",
        ),
        ({"waits_for": "timer", "wake_at": EARLIER}, f"has been due since {AT_EARLIER}"),
    ],
)
def test_a_waiting_task_says_what_for(waits: dict[str, object], said: str) -> None:
    assert alone(a_task(T.WAITING, **waits)) == said


def test_a_due_task_whose_clock_nobody_keeps_says_so() -> None:
    task = a_task(T.WAITING, waits_for="timer", wake_at=EARLIER)
    assert alone(task, workers=0).endswith(": no worker process runs whose clock could wake it")


@pytest.mark.parametrize(
    ("workers", "look", "said"),
    [
        (0, None, "no worker process of Headrace listens on workflow-tasks"),
        (0, QueueLook(5, 0), "no worker listens on workflow-tasks"),
        (0, QueueLook(5, 1), "up to 4 jobs are ahead in workflow-tasks"),
        (1, QueueLook(2, 1), "1 job is ahead in workflow-tasks"),
        (1, QueueLook(1, 1), "a worker takes it next from workflow-tasks"),
        (1, QueueLook(0, 1), "it was delivered; the sweep looks for its job after 7 s"),
        (1, None, "it was delivered; the sweep looks for its job after 7 s"),
    ],
)
def test_a_queued_task_says_why_nobody_takes_it(workers: int, look: QueueLook | None, said: str) -> None:
    task = a_task(T.QUEUED, queued_at=NOW - timedelta(seconds=3))
    looks = {} if look is None else {"workflow-tasks": look}
    found = alone(task, listeners={"workflow-tasks": workers}, looks=looks)
    assert found == f"has been queued since 2026-11-21 11:59:57 UTC: {said}"


@pytest.mark.parametrize(
    ("priority", "said"),
    [
        (20, "no worker listens on workflow-tasks-critical"),
        (10, "a worker takes it next from workflow-tasks-high"),
        (5, "up to 2 jobs are ahead in workflow-tasks, and 1 of higher priority goes first"),
        (1, "4 of higher priority go first"),
    ],
)
def test_a_queued_task_is_told_of_the_queue_of_its_priority(priority: int, said: str) -> None:
    looks = {
        "workflow-tasks-critical": QueueLook(0, 0),
        "workflow-tasks-high": QueueLook(1, 1),
        "workflow-tasks": QueueLook(3, 1),
        "workflow-tasks-low": QueueLook(1, 1),
    }
    task = a_task(T.QUEUED, queued_at=NOW, priority=priority)
    assert alone(task, listeners={}, looks=looks).endswith(f": {said}")


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"status": RunStatus.SUCCEEDED}, ""),
        (
            {"status": RunStatus.PAUSED, "reason": "night", "paused_at": EARLIER},
            f"is paused (night) since {AT_EARLIER}; waits for node n0, which waits for signal go",
        ),
        (
            {"verdict": RunStatus.CANCELLED, "reason": "enough"},
            "is being ended as cancelled: enough; waits for node n0, which waits for signal go",
        ),
        ({"status": RunStatus.QUEUED, "tasks": {}}, "waits for its turn"),
        (
            {"status": RunStatus.QUEUED, "tasks": {}, "is_child": True},
            "waits for its turn among the children of its parent",
        ),
        (
            {"status": RunStatus.QUEUED, "tasks": {}, "key": "K", "holders": [HOLDER], "ahead": 2},
            f"waits for key K, held by run {OTHER} since {AT_EARLIER}, and 2 come first",
        ),
    ],
)
def test_a_run_says_why_it_does_not_go_on(run: dict[str, object], said: str) -> None:
    facts = facts_of(planned(chain(1)), a_task(T.WAITING, waits_for="signal", signal="go"))
    changed = replace(facts.runs[RUN], **run)  # type: ignore[arg-type]
    assert explain_run(replace(facts, runs={RUN: changed}), RUN).text == said


SIGNAL = {"waits_for": "signal", "signal": "go"}


def test_a_long_chain_is_told_by_its_ends() -> None:
    tasks = [a_task(T.WAITING, 0, **SIGNAL), *(a_task(T.PENDING, number) for number in range(1, 9))]
    said = texts(explain_run(facts_of(planned(chain(9)), *tasks), RUN))
    assert said["n3"] == (
        "waits for node n2, which waits for node n1, which waits for node n0, which waits for signal go"
    )
    assert said["n8"] == (
        "waits for node n7, which waits for node n6, "
        "which waits for node n0 (5 more between), which waits for signal go"
    )


def test_several_roots_are_told_once_each() -> None:
    names = [f"n{number}" for number in range(6)]
    joined = [edge(name, "n5") for name in names[:5]]
    plan = planned(workflow([*map(node, names[:5]), node("n5", join="quorum:5")], joined))
    running = [a_task(T.RUNNING, number, started_at=EARLIER, attempt=1) for number in range(5)]
    found = explain_run(facts_of(plan, *running, a_task(T.PENDING, 5)), RUN)
    (task,) = found.tasks
    assert (len(task.causes), task.has_more, found.has_more) == (SHOWN, True, True)
    one = "waits (join quorum:5) for node n{}, which has run since " + AT_EARLIER + " (attempt 1)"
    assert task.text == "; ".join([*(one.format(number) for number in range(3)), "and there are more causes"])


def test_parents_that_ended_are_not_waited_for() -> None:
    plan = planned(workflow([node("n0"), node("n1"), node("n2")], [edge("n0", "n2"), edge("n1", "n2")]))
    untold = a_task(T.COMPLETED, 0)
    told = a_task(T.FAILED, 1, is_propagated=True)
    found = texts(explain_run(facts_of(plan, untold, told, a_task(T.PENDING, 2)), RUN))
    assert found == {
        "n1": "failed",
        "n2": "waits for node n0, which completed; what follows it is about to be told",
    }
    after = texts(explain_run(facts_of(plan, told, a_task(T.PENDING, 2)), RUN))
    assert after["n2"] == "is about to be released: all that it waited for has ended"


def test_an_undoing_node_says_what_it_is_for() -> None:
    plan = planned(workflow([node("n0", compensateWith="n1"), node("n1")], []))
    tasks = [a_task(T.RUNNING, 0), a_task(T.PENDING, 1)]
    assert texts(explain_run(facts_of(plan, *tasks), RUN)) == {
        "n1": "runs only to undo node n0, once the run has failed or was cancelled"
    }


def test_finally_nodes_wait_for_all_others_and_for_each_other() -> None:
    nodes = [node("n0", **{"finally": True}), node("n1", **{"finally": True}), node("n2")]
    plan = planned(workflow(nodes, [edge("n0", "n1")]))
    at = {name: plan.by_id[name].position for name in ("n0", "n1", "n2")}
    tasks = [
        replace(a_task(T.PENDING, at["n0"]), node_id="n0"),
        replace(a_task(T.PENDING, at["n1"]), node_id="n1"),
        replace(a_task(T.WAITING, at["n2"], **SIGNAL), node_id="n2"),
    ]
    said = texts(explain_run(facts_of(plan, *tasks), RUN))
    last = "runs when all others have ended, and waits for node n2, which waits for signal go"
    assert said == {"n0": last, "n1": f"waits for node n0, which {last}", "n2": "waits for signal go"}


def ended(status: TaskStatus, position: int, cause: str | None, reason: str) -> TaskFacts:
    return a_task(status, position, caused_by=cause, reason=reason, is_propagated=True)


def test_what_did_not_run_is_told_down_to_what_failed() -> None:
    tasks = [
        a_task(T.FAILED, 0, error="HttpError: 404", is_propagated=True),
        ended(T.UPSTREAM_FAILED, 1, "n0", "join 'all' was not met"),
        ended(T.UPSTREAM_FAILED, 2, "n1", "join 'all' was not met"),
        ended(T.CANCELLED, 3, None, "the run was cancelled"),
        ended(T.CANCELLED, 4, "n3", "join 'all' was not met"),
        ended(T.SKIPPED, 5, "unknown", "odd"),
    ]
    said = texts(explain_run(facts_of(planned(chain(6)), *tasks, status=RunStatus.FAILED), RUN))
    not_met = "(join 'all' was not met) because of node"
    assert said == {
        "n0": "failed: HttpError: 404",
        "n1": f"does not run {not_met} n0, which failed: HttpError: 404",
        "n2": f"does not run {not_met} n1, which does not run {not_met} n0, which failed: HttpError: 404",
        "n3": "was cancelled: the run was cancelled",
        "n4": f"was cancelled {not_met} n3, which was cancelled: the run was cancelled",
        "n5": "was skipped: odd",
    }


def test_a_failed_run_names_the_node_and_goes_down_into_the_run_below() -> None:
    child = RunFacts(
        OTHER,
        planned(chain(1)),
        RunStatus.FAILED,
        {0: a_task(T.FAILED, 0, error="HttpError: 503", is_propagated=True)},
        reason="node 'n0' failed",
    )
    error = "ChildFailed: run 2 failed: node 'n0' failed: HttpError: 503"
    task = a_task(T.FAILED, 0, error=error, is_propagated=True)
    facts = facts_of(planned(chain(1)), task, status=RunStatus.FAILED)
    run = replace(facts.runs[RUN], reason="node 'n0' failed")
    found = explain_run(
        replace(facts, runs={RUN: run, OTHER: child}, children={TaskId(RUN, 0): [OTHER]}), RUN
    )
    below = f"failed: run {OTHER} failed because of node n0, which failed: HttpError: 503"
    assert found.text == f"failed because of node n0, which {below}"
    assert texts(found) == {"n0": below}
    assert found.lines() == {}


def test_a_run_that_no_node_failed_says_its_reason() -> None:
    facts = facts_of(planned(chain(1)), a_task(T.CANCELLED, 0), status=RunStatus.FAILED)
    run = replace(facts.runs[RUN], reason="the run took longer than 5 s")
    assert explain_run(replace(facts, runs={RUN: run}), RUN).text == "failed: the run took longer than 5 s"


def test_one_node_is_explained_wherever_it_stands() -> None:
    facts = facts_of(planned(chain(3)), a_task(T.RUNNING, 1, attempt=2, started_at=EARLIER))
    assert texts(explain_node(facts, RUN, "n0")) == {"n0": "completed"}
    assert texts(explain_node(facts, RUN, "n1")) == {"n1": f"has run since {AT_EARLIER} (attempt 2)"}
    with pytest.raises(KeyError):
        explain_node(facts, RUN, "zz")
    not_begun = replace(facts.runs[RUN], tasks={}, status=RunStatus.QUEUED)
    assert texts(explain_node(replace(facts, runs={RUN: not_begun}), RUN, "n0")) == {}


def test_a_loser_names_the_join_that_did_without_it() -> None:
    tasks = [ended(T.CANCELLED, 0, "n1", "a join no longer waits for it"), a_task(T.RUNNING, 1, attempt=1)]
    said = texts(explain_run(facts_of(planned(chain(2)), *tasks), RUN))
    assert said["n0"] == (
        "was cancelled (a join no longer waits for it) because of node n1, which has run (attempt 1)"
    )


def test_lines_are_for_what_has_not_ended() -> None:
    tasks = [ended(T.SKIPPED, 0, None, "odd"), a_task(T.PENDING, 1), a_task(T.RUNNING, 2)]
    assert set(explain_run(facts_of(planned(chain(3)), *tasks), RUN).lines()) == {TaskId(RUN, 1)}


def test_runs_below_are_told_to_a_depth_even_if_they_lead_in_a_circle() -> None:
    task = a_task(T.WAITING, waits_for="children", batch=Batch(3, 2, 0, 2, 0, 0))
    facts = replace(facts_of(planned(chain(1)), task), children={TaskId(RUN, 0): [RUN, RUN]})
    (found,) = explain_run(facts, RUN).tasks
    assert _depth(found.causes[0]) == 1 + DEEPEST * 3
    assert [one.kind for one in found.causes[0].causes] == [K.CHILD, K.CHILD]
    assert len(found.causes[0].brief().causes) == 1


def _depth(cause: Cause) -> int:
    return 1 + max((_depth(one) for one in cause.causes), default=0)


def test_a_sentence_of_nothing_is_empty() -> None:
    assert sentence(()) == ""


def test_wide_and_deep_graphs_cost_no_more_than_their_edges() -> None:
    """20 to the 99th power ways lead through this one."""
    layers = [[f"l{layer}_{number}" for number in range(20)] for layer in range(100)]
    edges = [edge(a, b) for one, two in pairwise(layers) for a in one for b in two]
    plan = planned(workflow([node(name) for layer in layers for name in layer], edges))
    tasks = [
        replace(a_task(T.PENDING if one.in_edges else T.WAITING, one.position, signal="go"), node_id=one.id)
        for one in plan.nodes
    ]
    found = explain_run(facts_of(plan, *tasks), RUN)
    assert max(len(task.text) for task in found.tasks) < 500


@given(st.integers(0, 2**32))
def test_in_any_run_at_any_time_each_pending_task_has_a_root(seed: int) -> None:
    rng = random.Random(seed)
    case = random_case(rng)
    simulation = Simulation(case, rng)
    for _ in range(rng.randint(0, 12)):
        if simulation.jobs:
            simulation.jobs.pop(rng.randrange(len(simulation.jobs)))()
    tasks = [
        TaskFacts(place, case.plan.nodes[place].id, row.status, is_propagated=row.is_propagated)
        for place, row in enumerate(simulation.rows)
        if not (row.status is T.COMPLETED and row.is_propagated)
    ]
    open_ones = {task.node_id for task in tasks if task.is_open and task.status is not T.PENDING}

    found = explain_run(facts_of(case.plan, *tasks, status=simulation.status), RUN)

    for task in found.tasks:
        assert task.text
        if task.status is T.PENDING:
            assert {_last_node(cause) for cause in task.causes} <= open_ones


def _last_node(cause: Cause) -> str | None:
    return _last_node(cause.causes[0]) if cause.causes and cause.causes[0].kind is K.NODE else cause.node_id
