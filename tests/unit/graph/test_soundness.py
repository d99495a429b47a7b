"""The static check: what it says is held against every run that a graph can have."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain as joined
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import Problem
from headrace.graph.definition import Definition, Node, parse
from headrace.graph.join import EdgeOutcome, Join, Rule, Tally, decide_join
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outlook import NOTHING_YET, Caps, Fork, Outlook, tally_with
from headrace.graph.plan import Plan, make_plan
from headrace.graph.prospects import Prospects, prospects
from headrace.graph.soundness import analyse, is_plain, soundness
from headrace.graph.states import TaskStatus
from headrace.graph.validate import require_valid
from support.build import edge, if_else, node, workflow
from support.graphs import BRANCHES, Answer, Case, Kinds, Simulation, random_case
from support.oracle import Expected
from support.rules import RULES

RAN = frozenset({"completed", "failed"})


def definition_of(nodes: list[JsonObject], edges: list[JsonObject], **options: JsonValue) -> Definition:
    definition = parse(workflow(nodes, edges, **options))
    require_valid(definition, RULES)
    return definition


def check(nodes: list[JsonObject], edges: list[JsonObject], **options: JsonValue) -> list[Problem]:
    return soundness(definition_of(nodes, edges, **options), RULES)


def diamond(join: str) -> tuple[list[JsonObject], list[JsonObject]]:
    nodes = [if_else("if", "x", 1), node("yes"), node("no"), node("join", join=join)]
    edges = [
        edge("if", "yes", "out-true"),
        edge("if", "no", "out-false"),
        edge("yes", "join"),
        edge("no", "join"),
    ]
    return nodes, edges


def fork(*branches: str) -> JsonObject:
    return node("fork", "decision", config={"decisions": [{"id": name} for name in branches]})


@pytest.mark.parametrize("join", ["all", "all_done", "none_failed", "any_success", "any_failed", "quorum:1"])
def test_a_sound_diamond_is_silent(join: str) -> None:
    assert check(*diamond(join)) == []


@pytest.mark.parametrize("join", ["all_success", "quorum:2"])
def test_a_join_of_exclusive_branches_that_wants_both_can_never_run(join: str) -> None:
    nodes, edges = diamond(join)
    hint = "its in-edges are never taken together; join 'all' runs it when one is taken and none failed"
    assert check(nodes, edges) == [Problem("nodes[3].join", "node 'join' can never run", hint)]


def test_what_stands_behind_is_told_with_it() -> None:
    nodes, edges = diamond("all_success")
    behind = [node(f"b{number}") for number in range(7)]
    more = [edge("join", "b0"), *(edge(f"b{number}", f"b{number + 1}") for number in range(6))]
    [problem] = check(nodes + behind, edges + more)
    assert problem.message == (
        "node 'join' can never run, nor can 'b0', 'b1', 'b2', 'b3', 'b4' and 2 more behind it"
    )


def test_success_and_failure_of_one_node_never_come_together() -> None:
    nodes = [node("try"), node("catch"), node("join", join="all_success")]
    edges = [edge("try", "catch", on="failure"), edge("try", "join"), edge("catch", "join")]
    [problem] = check(nodes, edges)
    assert (problem.path, problem.message) == ("nodes[2].join", "node 'join' can never run")


@pytest.mark.parametrize("join", ["any_failed", "all_failed"])
def test_a_handled_failure_reaches_no_join(join: str) -> None:
    nodes = [node("try"), node("catch"), node("alarm", join=join)]
    edges = [edge("try", "catch", on="failure"), edge("try", "alarm")]
    [problem] = check(nodes, edges)
    assert problem.message == "node 'alarm' can never run"
    assert problem.hint == (
        "no failure reaches it: one with a failure edge or `allowFailure` is handled before"
    )


def test_a_branch_that_only_a_failure_would_take_can_never_run() -> None:
    nodes = [node("try", allowFailure=True), node("alarm", join="all_failed"), node("behind")]
    edges = [edge("try", "alarm"), edge("alarm", "behind")]
    [problem] = check(nodes, edges)
    assert problem.message == "node 'alarm' can never run, nor can 'behind' behind it"


def test_a_rule_without_a_remedy_of_its_own() -> None:
    nodes = [node("try"), node("catch"), node("dead", join="all_success"), node("last", join="none_failed")]
    edges = [
        edge("try", "catch", on="failure"),
        edge("try", "dead"),
        edge("catch", "dead"),
        edge("dead", "last", on="failure"),
    ]
    warnings = check(nodes, edges)
    assert [one.message for one in warnings] == ["node 'dead' can never run"]
    nodes[3] = node("last")
    assert [one.message for one in check(nodes, edges)] == [
        "node 'dead' can never run, nor can 'last' behind it"
    ]


def test_a_join_of_free_branches_starves() -> None:
    nodes = [fork("a", "b"), node("one"), node("two"), node("join", join="all_success")]
    edges = [
        edge("fork", "one", "out-a"),
        edge("fork", "two", "out-b"),
        edge("one", "join"),
        edge("two", "join"),
    ]
    [problem] = check(nodes, edges)
    assert problem == Problem(
        "nodes[3].join",
        "node 'join' starves when 'fork' takes out-a: an edge into it is taken, and it is skipped",
        "join 'all' runs it when at least one edge is taken and none failed",
    )


def test_a_quorum_starves_by_a_condition() -> None:
    nodes = [node("a"), node("b"), node("c"), node("join", join="quorum:2")]
    rule: JsonObject = {"var": "output.ok"}
    edges = [edge("a", "join"), edge("b", "join", when=rule), edge("c", "join", when=rule)]
    [problem] = check(nodes, edges)
    assert problem.message == (
        "node 'join' starves when the condition of edge b->join does not hold, "
        "the condition of edge c->join does not hold: an edge into it is taken, and it is skipped"
    )


def test_a_handled_failure_is_no_starvation() -> None:
    nodes = [node("a"), node("b"), node("alarm"), node("join", join="all_success")]
    edges = [edge("a", "alarm", on="failure"), edge("a", "join"), edge("b", "join")]
    assert check(nodes, edges) == []


def referring(join: str, text: str) -> list[Problem]:
    nodes, edges = diamond(join)
    return check([*nodes, node("say", config={"template": text})], [*edges, edge("join", "say")])


@pytest.mark.parametrize(
    "text", ["{{ nodes.yes.output.x }}", "${nodes.yes.output}", "a ${nodes.yes.output}!"]
)
def test_a_reference_to_what_may_be_skipped_is_flagged(text: str) -> None:
    assert referring("all", text) == [
        Problem(
            "nodes[4].config",
            "node 'say' may run without the output of 'yes': when 'if' takes out-false",
            "`${nodes.yes.output?}` is null then",
        )
    ]


@pytest.mark.parametrize(
    "text",
    ["${nodes.yes.output?}", "${ nodes.yes.output.x ? }", "{{nodes.yes.status}}", "{{nodes.if.output}}"],
)
def test_other_references_are_not(text: str) -> None:
    assert referring("all", text) == []


def test_a_reference_over_a_failure() -> None:
    nodes = [node("a"), node("b"), node("say", config={"template": "{{nodes.a.output}}"})]
    [problem] = check(nodes, [edge("a", "b", on="failure"), edge("b", "say")])
    assert problem.message == "node 'say' may run without the output of 'a': when 'a' fails"


def test_a_reference_out_of_a_branch_of_which_all_is_sure() -> None:
    nodes = [if_else("if", "x", 1), node("yes"), node("say", config={"template": "{{nodes.if.output}}"})]
    assert check(nodes, [edge("if", "yes", "out-true"), edge("yes", "say")]) == []


def test_a_reference_to_what_an_early_join_does_not_wait_for() -> None:
    text = {"template": "{{nodes.slow.output}}"}
    nodes = [node("fast"), node("slow"), node("say", join="any_success", config=text)]
    [problem] = check(nodes, [edge("fast", "say"), edge("slow", "say")])
    assert problem.message == "node 'say' may run without the output of 'slow': when 'slow' fails"
    chained = [node("fast"), node("slow", allowFailure=True), node("wait"), nodes[2]]
    [problem] = check(chained, [edge("fast", "say"), edge("slow", "wait"), edge("wait", "say")])
    assert "'slow'" in problem.message


def test_two_that_ask_the_same_of_one_join() -> None:
    nodes, edges = diamond("all")
    text = {"template": "{{nodes.no.output}}"}
    say = [node("say", config=text), node("again", config=text)]
    warnings = check(nodes + say, [*edges, edge("join", "say"), edge("join", "again")])
    assert [one.path for one in warnings] == ["nodes[4].config", "nodes[5].config"]


def test_a_failure_handler_refers_to_what_it_waits_for() -> None:
    text = {"template": "{{nodes.alarm.output}}"}
    nodes = [
        node("a"),
        node("b"),
        node("alarm", join="any_failed"),
        node("last", join="all_done", config=text),
    ]
    edges = [edge("a", "alarm"), edge("b", "alarm"), edge("a", "last"), edge("alarm", "last")]
    [problem] = check(nodes, edges)
    assert problem.message == "node 'last' may run without the output of 'alarm': when all goes well"


def test_a_node_that_never_runs_misses_nothing() -> None:
    nodes, edges = diamond("all_success")
    nodes[3] = node("join", join="all_success", config={"template": "{{nodes.yes.output}}"})
    assert [one.path for one in check(nodes, edges)] == ["nodes[3].join"]


def test_a_final_node_cannot_rely_on_others() -> None:
    first = node("first") | {"finally": True}
    last = node("last", config={"template": "{{nodes.a.output}}{{nodes.first.output}}"}) | {"finally": True}
    [problem] = check([node("a"), first, last], [edge("first", "last")])
    assert problem.message == (
        "node 'last' may run without the output of 'a': when the run fails or is cancelled before"
    )


def many_decisions(labels: int) -> Definition:
    names = [f"d{number}" for number in range(labels)]
    nodes = [fork(*names), node("join", join="all_success"), node("behind")]
    edges = [*(edge("fork", "join", f"out-{name}") for name in names), edge("join", "behind")]
    return definition_of(nodes, edges)


def test_too_many_possibilities_are_unknown() -> None:
    [problem] = soundness(many_decisions(13), RULES)
    assert problem == Problem(
        "nodes",
        "unknown whether 'join', 'behind' can run, starve or miss an output",
        "there are more possibilities than are looked at",
    )
    assert [one.path for one in soundness(many_decisions(12), RULES)] == ["nodes[1].join"]


def crossed(width: int) -> Definition:
    """Joins that all stay open until the last of the nodes before them was looked at."""
    tops = [node(f"t{number}") for number in range(width)]
    joins = [node(f"j{number}") for number in range(width)]
    edges = [edge(f"t{a}", f"j{b}") for a in range(width) for b in range(width) if (a + b) % 3]
    last = [edge(f"j{number}", "end") for number in range(width)]
    return definition_of([*tops, *joins, node("end")], edges + last)


def test_too_many_states_at_once_are_unknown() -> None:
    assert analyse(crossed(4), RULES).unknown == []
    assert "end" in analyse(crossed(4), RULES, Caps(states=3)).unknown


def test_the_work_of_all_questions_together_is_capped() -> None:
    found = analyse(crossed(4), RULES, Caps(steps=50))
    assert found.unknown
    assert found.never == []


def test_a_wide_graph_is_known() -> None:
    width = 1000
    middle = [node(f"m{number}", config={"template": "{{nodes.a.output}}"}) for number in range(width)]
    edges = [*(edge("a", f"m{n}") for n in range(width)), *(edge(f"m{n}", "z") for n in range(width))]
    assert check([node("a"), *middle, node("z", join="all_success")], edges) == []


def test_a_long_chain_is_known() -> None:
    names = [f"n{number}" for number in range(5000)]
    nodes = [
        node(name, config={"template": "{{nodes.n0.output}}" if name == "n4999" else ""}) for name in names
    ]
    assert check(nodes, [edge(a, b) for a, b in pairwise(names)]) == []


RULE_SET = [Join(rule) for rule in Rule if rule is not Rule.QUORUM] + [
    Join(Rule.QUORUM, quorum=quorum) for quorum in range(1, 5)
]


@pytest.mark.parametrize("join", RULE_SET, ids=str)
def test_a_shrunken_tally_decides_as_the_whole_one(join: Join) -> None:
    for letters in joined.from_iterable(product("TNFC?", repeat=total) for total in range(1, 6)):
        small = NOTHING_YET
        for letter in letters:
            small = tally_with(join, small, None if letter == "?" else EdgeOutcome(letter))
        whole = Tally(
            len(letters), letters.count("?"), letters.count("T"), letters.count("F"), letters.count("C")
        )
        assert decide_join(join, small) is decide_join(join, whole), letters


FORK = Fork(BRANCHES)
ANSWERS = [Answer(True, True, "Odd", frozenset())] + [
    Answer(False, True, "Odd", frozenset(some)) for some in ((), BRANCHES[:1], BRANCHES[1:], BRANCHES)
]


def ancestors(plan: Plan) -> dict[str, frozenset[str]]:
    """All nodes before each node, by id."""
    before: dict[int, frozenset[int]] = {}
    for one in plan.nodes:
        parents = {edge.source for edge in plan.into(one.position)}
        before[one.position] = frozenset(parents).union(*(before[parent] for parent in parents))
    return {
        plan.nodes[place].id: frozenset(plan.nodes[other].id for other in others)
        for place, others in before.items()
    }


def everything_about(plan: Plan) -> Prospects:
    """The analysis of a random graph in which every node refers to all nodes before it."""
    forks = {one.position: FORK for one in plan.nodes}
    found = prospects(Outlook(plan, forks), ancestors(plan))
    assert found.unknown == []
    return found


def small_case(rng: random.Random, early: bool) -> Case:
    """Without conditions, which the analysis holds for independent of each other."""
    while True:
        document = random_case(rng, Kinds(early=early, size=4)).document
        nodes, edges = document["nodes"], document["edges"]
        assert isinstance(nodes, list)
        assert isinstance(edges, list)
        bare = [{key: one[key] for key in one if key != "when"} for one in edges if isinstance(one, dict)]
        distinct: list[JsonValue] = list({repr(one): one for one in bare}.values())
        if len(nodes) < 6:
            changed = document | {"edges": distinct}
            definition = parse(changed)
            return Case(changed, definition, make_plan(definition), {})


def all_runs(case: Case) -> Iterator[tuple[bool, Expected]]:
    """Every run that the graph can have, and whether no node failed in it."""
    names = [one.id for one in case.plan.nodes]
    choices = [ANSWERS if one.out_edges else ANSWERS[-1:] for one in case.plan.nodes]
    for picked in product(*choices):
        expected = Expected(replace(case, answers=dict(zip(names, picked, strict=True))))
        yield "failed" not in expected.statuses.values(), expected


def starves(case: Case, expected: Expected, name: str) -> bool:
    letters = [expected.letters[place] for place in expected.into(name)]
    is_counting = expected.join(name).partition(":")[0] in ("all_success", "quorum")
    return is_counting and expected.statuses[name] == "skipped" and "T" in letters


@pytest.mark.parametrize("early", [False, True])
def test_it_finds_exactly_what_all_runs_of_small_graphs_show(early: bool) -> None:
    seen = {"never": 0, "starved": 0, "missing": 0}
    for seed in range(1500):
        case = small_case(random.Random(seed), early)
        found = everything_about(case.plan)
        before = ancestors(case.plan)
        ran: set[str] = set()
        starved: set[str] = set()
        missing: set[tuple[str, str]] = set()
        for is_well, expected in all_runs(case):
            running = {name for name, status in expected.statuses.items() if status in RAN}
            ran |= running
            starved |= {name for name in expected.statuses if is_well and starves(case, expected, name)}
            missing |= {
                (name, other)
                for name in running
                for other in before[name]
                if expected.statuses[other] != "completed"
            }
        assert set(found.never) == before.keys() - ran, seed
        assert set(found.starved) == starved & ran, seed
        # An early join also misses what has not ended yet.
        assert set(found.missing) >= missing if early else set(found.missing) == missing, seed
        seen["never"] += len(found.never)
        seen["starved"] += len(found.starved)
        seen["missing"] += len(found.missing)
    assert min(seen.values()) > 20


@dataclass(slots=True)
class Watching(Simulation):
    """Notes which nodes had not completed when another began."""

    seen_missing: set[tuple[str, str]] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)

    def _queue(self, position: int, edges: tuple[int, ...] | None) -> None:
        Simulation._queue(self, position, edges)
        nodes = self.case.plan.nodes
        self.begun.add(nodes[position].id)
        for other, row in enumerate(self.rows):
            if row.status is not TaskStatus.COMPLETED:
                self.seen_missing.add((nodes[position].id, nodes[other].id))


@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_no_run_shows_what_it_excludes(rng: random.Random, seed: int) -> None:
    case = random_case(rng, Kinds(cancel_losers=True))
    found = everything_about(case.plan)
    before = ancestors(case.plan)
    for more in range(5):
        answers: Mapping[str, Answer] = random_case(random.Random(seed + more), Kinds()).answers
        given_answers = {name: answers.get(name, answer) for name, answer in case.answers.items()}
        simulation = Watching(replace(case, answers=given_answers), random.Random(seed + more))
        simulation.finish()
        assert not simulation.begun & set(found.never)
        pairs = {(name, other) for name, other in simulation.seen_missing if other in before[name]}
        assert pairs <= found.missing.keys()


def test_bodies_are_checked_too() -> None:
    class Maps:
        def fork(self, node: Node) -> Fork:
            return RULES.fork(node)

        def has_body(self, node: Node) -> bool:
            return node.type == "map"

    nodes, edges = diamond("all_success")
    body: JsonObject = {"nodes": list(nodes), "edges": list(edges)}
    document = workflow([node("each", "map", config={"body": body})], [])
    [problem] = soundness(parse(document), Maps())
    assert problem.path == "nodes[0].config.body.nodes[3].join"


def test_every_node_type_says_how_its_branches_go() -> None:
    document = parse(workflow([if_else("if", "x", 1), fork("a"), node("n"), node("u", "nonsense")], []))
    forks = [RULES.fork(one) for one in document.nodes]
    assert forks[0] == Fork(("out-true", "out-false"), is_exclusive=True)
    assert forks[1] == Fork(("out-a",), is_exclusive=False)
    assert (forks[2].labels, forks[3]) == ((), Fork())
    assert not any(RULES.has_body(one) for one in document.nodes)


@given(st.randoms(use_true_random=False), st.integers(1, 9))
def test_where_it_is_not_looked_there_is_nothing_to_find(chance: random.Random, size: int) -> None:
    names = [f"n{number}" for number in range(size)]
    edges = [
        edge(source, target)
        for target in range(1, size)
        for source, target in {(names[chance.randrange(target)], names[target]) for _ in range(2)}
    ]
    definition = definition_of([node(name) for name in names], edges)
    found = analyse(definition, RULES)
    assert is_plain(definition, RULES)
    assert (found.never, found.starved, found.missing, found.unknown) == ([], {}, {}, [])


@pytest.mark.parametrize(
    ("mark", "line"),
    [
        ({"allowFailure": True}, {}),
        ({"finally": True}, {}),
        ({"join": "all_done"}, {}),
        ({}, {"on": "always"}),
    ],
)
def test_it_is_looked_where_a_node_may_run_although_another_did_not(
    mark: JsonObject, line: JsonObject
) -> None:
    free = {} if mark.get("finally") else line
    nodes = [node("a"), node("b"), node("c", **mark)]
    edges = [edge("a", "b", **free)] if mark.get("finally") else [edge("a", "b"), edge("b", "c", **line)]
    assert not is_plain(definition_of(nodes, edges), RULES)
