"""How the out-edges of an ended task resolve: every row of the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.edges import Ending, On, PlanEdge, Resolution, resolve_edges
from headrace.graph.json_types import JsonValue
from headrace.graph.states import ENDED, TaskStatus
from support.oracle import resolved

COMPLETED, FAILED = TaskStatus.COMPLETED, TaskStatus.FAILED
GO: JsonValue = {"var": "output.go"}
ODD: JsonValue = {"==": [{"var": "error.type"}, "Odd"]}
BROKEN: JsonValue = {"*": []}


def edge(on: str = "success", branch: str | None = None, when: JsonValue = None, index: int = 0) -> PlanEdge:
    return PlanEdge(index, index, f"e{index}", 0, 1, branch, On(on), when)


def ending(status: TaskStatus = COMPLETED, branches: str = "", go: bool = True, kind: str = "Odd") -> Ending:
    if status is FAILED:
        return Ending(status, error={"type": kind, "message": "no"})
    return Ending(status, frozenset(branches.split()), output={"go": go})


def outcome(edge: PlanEdge, end: Ending, allow_failure: bool = False) -> str:
    return resolve_edges([edge], end, allow_failure).outcomes


@pytest.mark.parametrize(
    ("status", "success", "failure", "always"),
    [
        ("completed", "T", "N", "T"),
        ("failed", "F", "T", "T"),
        ("skipped", "N", "N", "N"),
        ("upstream_failed", "F", "N", "F"),
        ("cancelled", "C", "C", "C"),
    ],
)
def test_each_end_resolves_each_kind_of_edge(status: str, success: str, failure: str, always: str) -> None:
    end = ending(TaskStatus(status))
    assert outcome(edge(), end) == success
    assert outcome(edge("failure"), end) == failure
    assert outcome(edge("always"), end) == always
    assert outcome(edge(branch="out-a"), end) == ("N" if success == "T" else success)


@pytest.mark.parametrize(
    ("branches", "outcomes"), [("out-a", "TNT"), ("out-b", "NTT"), ("out-a out-b", "TTT"), ("", "NNT")]
)
def test_a_branching_node_opens_its_branches_and_edges_without_a_label(branches: str, outcomes: str) -> None:
    edges = [edge(branch="out-a"), edge(branch="out-b", index=1), edge(index=2)]
    assert resolve_edges(edges, ending(branches=branches)).outcomes == outcomes


def test_a_condition_closes_an_edge_that_its_branch_opens() -> None:
    guarded = edge(branch="out-a", when=GO)
    assert outcome(guarded, ending(branches="out-a", go=True)) == "T"
    assert outcome(guarded, ending(branches="out-a", go=False)) == "N"
    assert outcome(guarded, ending(branches="out-b", go=True)) == "N"


@pytest.mark.parametrize("path", ["input.a", "output.b", "error.type", "run.id"])
def test_a_condition_looks_at_input_output_error_and_run(path: str) -> None:
    data: dict[str, JsonValue] = {"a": 1, "b": 1, "type": "Odd", "id": "r"}
    end = Ending(COMPLETED, output=data, error=data, input=data, run=data)
    assert outcome(edge(when={"var": path}), end) == "T"
    assert outcome(edge(when={"var": path}), Ending(COMPLETED)) == "N"


def test_a_false_condition_is_a_condition() -> None:
    assert outcome(edge(when=False), ending()) == "N"


def test_a_caught_failure_closes_the_success_edges() -> None:
    edges = [edge(), edge("failure", index=1), edge("failure", when=ODD, index=2), edge("always", index=3)]
    assert resolve_edges(edges, ending(FAILED, kind="Odd")).outcomes == "NTTT"
    assert resolve_edges(edges, ending(FAILED, kind="Even")).outcomes == "NTNT"


def test_a_failure_whose_handlers_all_decline_is_unhandled() -> None:
    edges = [edge(), edge("failure", when=ODD, index=1), edge("always", index=2)]
    assert resolve_edges(edges, ending(FAILED, kind="Even")).outcomes == "FNT"


def test_an_allowed_failure_opens_edges_without_a_label() -> None:
    edges = [
        edge(),
        edge(branch="out-a", index=1),
        edge("failure", when=ODD, index=2),
        edge("always", index=3),
    ]
    assert resolve_edges(edges, ending(FAILED, kind="Even"), allow_failure=True).outcomes == "TNNT"
    assert resolve_edges(edges, ending(FAILED, kind="Odd"), allow_failure=True).outcomes == "NNTT"
    assert outcome(edge(when=GO), ending(FAILED), allow_failure=True) == "N"
    assert outcome(edge(when={"!": GO}), ending(FAILED), allow_failure=True) == "T"


def test_allowing_failure_changes_no_other_end() -> None:
    edges = [edge(), edge(branch="out-a", index=1), edge("failure", index=2), edge("always", index=3)]
    for status in ENDED - {FAILED}:
        assert resolve_edges(edges, ending(status), True) == resolve_edges(edges, ending(status), False)


def test_a_condition_that_cannot_be_evaluated_is_false_and_a_warning() -> None:
    edges = [edge(when=BROKEN), edge(index=1), edge(when=BROKEN, index=2)]
    resolution = resolve_edges(edges, ending())
    assert resolution.outcomes == "NTN"
    assert resolution.warnings == [
        "Condition on edge e0 counts as false: '*' needs an argument.",
        "Condition on edge e2 counts as false: '*' needs an argument.",
    ]


def test_a_broken_handler_handles_nothing_and_warns_once() -> None:
    edges = [edge("failure", when=BROKEN), edge(index=1)]
    resolution = resolve_edges(edges, ending(FAILED))
    assert resolution.outcomes == "NF"
    assert len(resolution.warnings) == 1


def test_conditions_that_cannot_matter_are_not_evaluated() -> None:
    guarded = [edge(when=BROKEN), edge("failure", when=BROKEN, index=1)]
    for status in ENDED - {COMPLETED, FAILED}:
        assert resolve_edges(guarded, ending(status)).warnings == []
    closed = edge(branch="out-a", when=BROKEN)
    assert resolve_edges([closed], ending()) == Resolution("N", [])


@pytest.mark.parametrize("status", [one for one in TaskStatus if one not in ENDED])
def test_a_task_that_has_not_ended_resolves_nothing(status: TaskStatus) -> None:
    with pytest.raises(ValueError, match=f"{status} has not ended"):
        resolve_edges([edge()], Ending(status))


EDGES = st.lists(
    st.tuples(
        st.sampled_from(["success", "failure", "always"]),
        st.sampled_from([None, "out-a", "out-b"]),
        st.sampled_from([None, GO, ODD]),
    ),
    max_size=5,
)


@given(
    EDGES,
    st.sampled_from(sorted(ENDED)),
    st.sets(st.sampled_from(["out-a", "out-b"])),
    st.booleans(),
    st.sampled_from(["Odd", "Even"]),
    st.booleans(),
)
def test_any_edges_resolve_as_the_table_says(
    drawn: list[tuple[str, str | None, JsonValue]],
    status: TaskStatus,
    branches: set[str],
    go: bool,
    kind: str,
    is_allowed: bool,
) -> None:
    edges = [edge(*one, index=index) for index, one in enumerate(drawn)]
    end = ending(status, " ".join(branches), go, kind)
    truths = {
        repr(None): True,
        repr(GO): status is not FAILED and go,
        repr(ODD): status is FAILED and kind == "Odd",
    }
    holds = [truths[repr(when)] for _, _, when in drawn]
    labels = [branch in ({None} if status is FAILED else {None, *branches}) for _, branch, _ in drawn]
    is_open = [label and does for label, does in zip(labels, holds, strict=True)]
    expected = resolved(status.value, [on for on, _, _ in drawn], is_open, holds, is_allowed)
    assert resolve_edges(edges, end, is_allowed).outcomes == expected
