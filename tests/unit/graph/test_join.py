"""Join rules: every rule over every vector of edge outcomes, against the table."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from headrace.errors import BadExpression
from headrace.graph.join import EdgeOutcome, Join, Losers, Rule, Tally, Verdict, decide_join, parse_join
from support.oracle import EARLY, joined

MOST_EDGES = 5
RULES = [rule.value for rule in Rule if rule is not Rule.QUORUM]
JOINS = [*RULES, *(f"quorum:{k}" for k in range(1, MOST_EDGES + 1))]
STATUS = {
    None: None,
    Verdict.RUN: "run",
    Verdict.SKIP: "skipped",
    Verdict.UPSTREAM_FAILED: "upstream_failed",
    Verdict.CANCEL: "cancelled",
}


def tally(edges: str) -> Tally:
    counted = Tally.fresh(len(edges))
    for letter in edges.replace("?", ""):
        counted = counted.add(EdgeOutcome(letter))
    return counted


def decided(join: str, edges: str) -> str | None:
    return STATUS[decide_join(parse_join(join), tally(edges))]


def vectors(letters: str) -> list[str]:
    return ["".join(one) for size in range(1, MOST_EDGES + 1) for one in product(letters, repeat=size)]


@pytest.mark.parametrize("join", JOINS)
def test_every_vector_is_decided_as_the_table_says(join: str) -> None:
    for edges in vectors("TNFC?"):
        assert (edges, decided(join, edges)) == (edges, joined(join, edges))


@pytest.mark.parametrize("join", JOINS)
def test_a_verdict_never_changes_as_more_edges_resolve(join: str) -> None:
    for edges in vectors("TNFC?"):
        verdict = decided(join, edges)
        if verdict is not None and "?" in edges:
            for letter in "TNFC":
                assert decided(join, edges.replace("?", letter, 1)) == verdict


@pytest.mark.parametrize("join", JOINS)
def test_a_node_is_decided_once_all_edges_are_in_and_not_skipped_before(join: str) -> None:
    for edges in vectors("TNFC"):
        assert decided(join, edges) is not None
    for edges in vectors("TNFC?"):
        if "?" in edges:
            assert decided(join, edges) in (None, "run")


def test_only_early_joins_run_before_all_edges_are_in() -> None:
    early = {
        join.split(":")[0]
        for join in JOINS
        for edges in vectors("TNFC?")
        if "?" in edges and decided(join, edges) == "run"
    }
    assert early == EARLY


def test_cancelled_edges_cancel_a_node_only_if_its_rule_is_not_met_and_nothing_failed() -> None:
    ends = {(join, edges): decided(join, edges) for join in RULES for edges in ("CT", "CN", "CC", "CF")}
    assert [ends["all", edges] for edges in ("CT", "CN", "CF")] == ["run", "cancelled", "upstream_failed"]
    assert [ends["all_success", edges] for edges in ("CT", "CF")] == ["cancelled", "upstream_failed"]
    assert [ends["all_done", edges] for edges in ("CC", "CF")] == ["run", "run"]
    assert [ends["none_failed", edges] for edges in ("CC", "CF")] == ["run", "upstream_failed"]
    assert [ends["any_failed", edges] for edges in ("CC", "CF")] == ["cancelled", "run"]
    assert [ends["all_failed", edges] for edges in ("CC", "CF")] == ["cancelled", "skipped"]


def test_the_order_of_edges_does_not_matter() -> None:
    for edges in vectors("TNFC?"):
        if len(edges) == 4:
            assert len({tally("".join(order)) for order in permutations(edges)}) == 1


@pytest.mark.parametrize("text", JOINS)
def test_a_join_is_read_and_written(text: str) -> None:
    assert str(parse_join(text)) == text
    assert parse_join(text).losers is Losers.LET_RUN


def test_a_quorum_is_read_with_its_number() -> None:
    assert parse_join("quorum:12") == Join(Rule.QUORUM, 12)


@pytest.mark.parametrize("text", ["", "some", "ALL", "quorum", "quorum:", "quorum:x", "quorum:-1", "all "])
def test_an_unknown_join_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadExpression, match=r"unknown join .* known are all, all_success, .* quorum:<k>"):
        parse_join(text)


def test_meeting_any_success_or_a_quorum_handles_failures() -> None:
    assert [rule for rule in Rule if Join(rule).absorbs_failure] == [Rule.ANY_SUCCESS, Rule.QUORUM]
