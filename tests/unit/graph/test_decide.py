"""Decisions, case by case. `test_run_properties` holds them for random graphs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from headrace.graph.decide import (
    LOST_RACE,
    Cascade,
    Ended,
    FailureCare,
    TaskView,
    failure_care,
    is_unhandled,
    released_by,
    run_verdict,
)
from headrace.graph.definition import parse
from headrace.graph.join import Tally
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import Plan, make_plan
from headrace.graph.states import RunStatus, TaskStatus
from support.build import chain, edge, node, workflow

SKIPPED, UPSTREAM, CANCELLED = TaskStatus.SKIPPED, TaskStatus.UPSTREAM_FAILED, TaskStatus.CANCELLED
NOT_MET = "join 'all' was not met"


def plan_of(names: str, *edges: JsonObject, **options: JsonValue) -> Plan:
    """Nodes by name; an option named like a node is that node's join."""
    nodes = [node(name) | ({"join": options[name]} if name in options else {}) for name in names.split()]
    return make_plan(parse(workflow(nodes, list(edges))))


def pending(plan: Plan) -> dict[int, TaskView]:
    return {one.position: TaskView(TaskStatus.PENDING, Tally.fresh(len(one.in_edges))) for one in plan.nodes}


def follow(plan: Plan, resolved: Mapping[int, str], views: Mapping[int, TaskView] | None = None) -> Cascade:
    """Loads only what is asked for until nothing is."""
    known = views or pending(plan)
    cascade = Cascade(plan, resolved)
    while missing := cascade.missing():
        cascade.load({position: known[position] for position in missing})
    return cascade


def test_the_child_of_a_completed_node_is_ready() -> None:
    plan = plan_of("a b", edge("a", "b"))
    decision = follow(plan, {0: "T"}).decision
    assert (decision.ready, decision.ended) == ([1], {})
    assert decision.tallies == {1: Tally(total=1, unresolved=0, taken=1)}


def test_a_join_waits_and_keeps_count() -> None:
    plan = plan_of("a b j", edge("a", "j"), edge("b", "j"))
    decision = follow(plan, {0: "T"}).decision
    assert (decision.ready, decision.ended) == ([], {})
    assert decision.tallies == {2: Tally(total=2, unresolved=1, taken=1)}


def test_ends_of_one_release_are_counted_together() -> None:
    plan = plan_of("a b j", edge("a", "j"), edge("b", "j"))
    assert follow(plan, {0: "T", 1: "T"}).decision.ready == [2]


def test_a_skip_spreads_to_the_end() -> None:
    plan = make_plan(parse(chain(5_000)))
    decision = follow(plan, {0: "N"}).decision
    assert decision.ready == []
    assert {one.status for one in decision.ended.values()} == {SKIPPED}
    assert decision.ended[1] == Ended(SKIPPED, "N", NOT_MET, "n0")
    assert decision.ended[4_999] == Ended(SKIPPED, "", NOT_MET, "n4998")


def test_an_upstream_failure_spreads_over_success_and_always_edges() -> None:
    plan = plan_of(
        "a b c d e", edge("a", "b"), edge("b", "c", on="failure"), edge("b", "d"), edge("b", "e", on="always")
    )
    ended = follow(plan, {0: "F"}).decision.ended
    assert {plan.nodes[position].id: one.status for position, one in ended.items()} == {
        "b": UPSTREAM,
        "c": SKIPPED,
        "d": UPSTREAM,
        "e": UPSTREAM,
    }


def test_the_parent_whose_edge_says_why_is_the_cause() -> None:
    plan = plan_of("a b c j", edge("a", "j"), edge("b", "j"), edge("c", "j"))
    assert follow(plan, {0: "T", 1: "F", 2: "T"}).decision.ended[3].caused_by == "b"
    assert follow(plan, {0: "N", 1: "C", 2: "N"}).decision.ended[3] == Ended(CANCELLED, "", NOT_MET, "b")


def test_where_the_reason_is_older_the_parent_that_ended_last_is_the_cause() -> None:
    plan = plan_of("a b j", edge("a", "j"), edge("b", "j"))
    views = pending(plan) | {2: TaskView(TaskStatus.PENDING, Tally(total=2, unresolved=1, failed=1))}
    assert follow(plan, {1: "T"}, views).decision.ended[2] == Ended(UPSTREAM, "", NOT_MET, "b")


@pytest.mark.parametrize("status", [one for one in TaskStatus if one is not TaskStatus.PENDING])
def test_a_target_that_is_not_pending_is_left_alone(status: TaskStatus) -> None:
    plan = plan_of("a b", edge("a", "b"))
    cascade = follow(plan, {0: "T"}, {1: TaskView(status, Tally.fresh(1))})
    assert cascade.decision.ready == []
    assert cascade.decision.tallies == {}
    assert cascade.decision.ended == {}


def test_an_early_join_is_released_once() -> None:
    plan = plan_of("a b c j", edge("a", "j"), edge("b", "j"), edge("c", "j"), j="any_success")
    assert follow(plan, {0: "T", 1: "T", 2: "F"}).decision.ready == [3]


def test_nothing_is_asked_of_a_node_without_successors() -> None:
    plan = plan_of("a")
    cascade = follow(plan, {0: ""})
    assert cascade.missing() == []
    assert cascade.decision.ready == []


def racing() -> Plan:
    """a > x > j, b > j, then t; j is met by the first and cancels the rest."""
    edges = [edge("a", "x"), edge("x", "j"), edge("b", "j"), edge("j", "t")]
    return plan_of("a b x j t", *edges, j={"rule": "any_success", "onLosers": "cancel"})


def test_a_met_join_names_its_losers_once() -> None:
    plan = racing()
    cascade = follow(plan, {1: "T"})
    assert cascade.decision.ready == [3]
    assert cascade.losers() == {0: "j", 1: "j", 2: "j"}
    assert cascade.losers() == {}


def test_losers_that_were_cancelled_end_here() -> None:
    plan = racing()
    cascade = follow(plan, {1: "T"})
    losers = cascade.losers()
    cascade.cancelled({position: losers[position] for position in (0, 2)})
    assert cascade.missing() == []
    cascade.load({})
    assert cascade.decision.ended == {
        0: Ended(CANCELLED, "C", LOST_RACE, "j"),
        2: Ended(CANCELLED, "C", LOST_RACE, "j"),
    }
    assert cascade.decision.ready == [3]


def test_a_loser_that_became_ready_in_the_same_release_is_not_ready() -> None:
    plan = racing()
    cascade = follow(plan, {0: "T", 1: "T"})
    assert cascade.decision.ready == [2, 3]
    cascade.cancelled({2: cascade.losers()[2]})
    assert cascade.decision.ready == [3]


def test_a_node_that_ended_in_the_same_release_is_no_loser() -> None:
    cascade = follow(racing(), {0: "N", 1: "T"})
    assert cascade.decision.ended.keys() == {2}
    assert cascade.losers() == {0: "j", 1: "j"}


@pytest.mark.parametrize("is_all_known", [False, True])
def test_whether_a_loser_is_skipped_or_cancelled_does_not_depend_on_what_is_loaded(
    is_all_known: bool,
) -> None:
    """b is skipped in the wave that meets j, before j gives anything up; c would be in the next one."""
    edges = [edge("fast", "j"), edge("p", "b"), edge("b", "c"), edge("c", "j")]
    plan = plan_of("fast p b c j", *edges, j={"rule": "any_success", "onLosers": "cancel"})
    known, at = pending(plan), {node.id: node.position for node in plan.nodes}
    cascade = Cascade(plan, {at["fast"]: "T", at["p"]: "N"})
    cascade.load(known if is_all_known else {})
    while not cascade.is_decided:
        cascade.load({place: known[place] for place in cascade.missing()})
        losers = cascade.losers()
        cascade.cancelled({place: losers[place] for place in losers if plan.nodes[place].id == "c"})
    ended = {plan.nodes[place].id: one.status for place, one in cascade.decision.ended.items()}
    assert ended == {"b": SKIPPED, "c": CANCELLED}
    assert cascade.decision.ready == [at["j"]]


def test_a_join_that_lets_run_has_no_losers() -> None:
    plan = plan_of("a b j", edge("a", "j"), edge("b", "j"), j="any_success")
    assert follow(plan, {0: "T"}).losers() == {}


@pytest.mark.parametrize(
    ("edges", "joins", "outcomes", "care"),
    [
        ([], {}, "", FailureCare.UNHANDLED),
        ([edge("f", "a")], {}, "F", FailureCare.UNHANDLED),
        ([edge("f", "a", on="always")], {}, "T", FailureCare.UNHANDLED),
        ([edge("f", "a", on="failure")], {}, "T", FailureCare.HANDLED),
        ([edge("f", "a", on="failure")], {}, "N", FailureCare.UNHANDLED),
        ([edge("f", "a")], {"a": "any_success"}, "F", FailureCare.BY_JOINS),
        ([edge("f", "a")], {"a": "quorum:1"}, "F", FailureCare.BY_JOINS),
        ([edge("f", "a")], {"a": "any_failed"}, "F", FailureCare.UNHANDLED),
        ([edge("f", "a")], {"a": "all_done"}, "F", FailureCare.UNHANDLED),
        ([edge("f", "a"), edge("f", "b")], {"a": "any_success"}, "FF", FailureCare.UNHANDLED),
        ([edge("f", "a"), edge("f", "b")], {"a": "any_success", "b": "quorum:1"}, "FF", FailureCare.BY_JOINS),
    ],
)
def test_who_takes_care_of_a_failure(
    edges: list[JsonObject], joins: dict[str, JsonValue], outcomes: str, care: FailureCare
) -> None:
    plan = plan_of("f a b", *edges, **joins)
    assert failure_care(plan, 0, outcomes) is care


def test_an_allowed_failure_is_handled() -> None:
    plan = make_plan(parse(workflow([node("f", allowFailure=True)], [])))
    assert failure_care(plan, 0, "") is FailureCare.HANDLED
    assert not is_unhandled(plan, 0, "", frozenset())


def test_joins_handle_a_failure_if_all_of_them_were_met() -> None:
    plan = plan_of("f a b", edge("f", "a"), edge("f", "b"), a="any_success", b="any_success")
    assert not is_unhandled(plan, 0, "FF", frozenset({1, 2}))
    assert is_unhandled(plan, 0, "FF", frozenset({1}))
    assert is_unhandled(plan, 0, "FF", frozenset())


@pytest.mark.parametrize(
    ("failures", "met", "was_cancelled", "status"),
    [
        ({}, set(), False, RunStatus.SUCCEEDED),
        ({}, set(), True, RunStatus.CANCELLED),
        ({0: "F"}, set(), False, RunStatus.FAILED),
        ({0: "F"}, set(), True, RunStatus.FAILED),
        ({0: "F"}, {1}, False, RunStatus.SUCCEEDED),
        ({0: "F"}, {1}, True, RunStatus.CANCELLED),
    ],
)
def test_how_a_run_ends(
    failures: dict[int, str], met: set[int], was_cancelled: bool, status: RunStatus
) -> None:
    plan = plan_of("f j", edge("f", "j"), j="any_success")
    assert run_verdict(plan, failures, frozenset(met), was_cancelled) is status


def test_a_task_is_released_by_its_taken_edges_in_edge_order() -> None:
    plan = plan_of("a b c j", edge("c", "j"), edge("a", "j"), edge("a", "j", on="failure"), edge("b", "j"))
    assert released_by(plan, 3, {0: "TN", 1: "F", 2: "T"}) == (0, 1)
    assert released_by(plan, 3, {0: "NT"}) == (2,)
    assert released_by(plan, 3, {}) == ()
