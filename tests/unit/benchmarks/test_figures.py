"""What is made of measurements: checks, medians, verdicts, tables, a picture."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from benchmarks import options, spans
from benchmarks.graphs import layered
from benchmarks.page import growth_table, history_table, page
from benchmarks.picture import picture
from benchmarks.report import markdown, table, text
from benchmarks.sample import OURS, Figures, Floor, Sample, quantile
from benchmarks.spans import Span
from benchmarks.targets import verdicts

DIAMOND = layered((1, 2, 1))


def executions(*changed: Span) -> list[Span]:
    """A sound run of the diamond, with some executions replaced."""
    sound = {number: Span(0, number, start, start + 0.5) for number, start in enumerate((0.0, 1.0, 1.2, 2.0))}
    return list((sound | {span.node: span for span in changed}).values())


def test_sound_executions_are_not_wrong() -> None:
    assert spans.wrongs(DIAMOND, 1, executions()) == ""


def test_a_node_that_never_ran_is_wrong() -> None:
    assert spans.wrongs(DIAMOND, 1, executions()[:-1]).startswith("1 of 4 nodes never ran")
    assert spans.wrongs(DIAMOND, 2, executions()).startswith("4 of 8 nodes never ran")


def test_a_node_that_ran_twice_is_wrong() -> None:
    twice = [*executions(), Span(0, 2, 5.0, 5.1)]
    assert spans.wrongs(DIAMOND, 1, twice).startswith("1 nodes ran more than once")


def test_a_node_that_nobody_asked_for_is_wrong() -> None:
    assert (
        spans.wrongs(DIAMOND, 1, [*executions(), Span(0, 9, 5.0, 5.1)]) == "nodes ran that nobody asked for"
    )


def test_a_join_before_its_last_parent_is_wrong() -> None:
    early = executions(Span(0, 3, 1.6, 1.8))
    assert spans.wrongs(DIAMOND, 1, early).startswith("1 nodes ran before one of their parents")


def test_hops_are_from_start_to_start() -> None:
    chain = [Span(0, 1, 10.002, 10.003), Span(0, 0, 10.0, 10.001), Span(0, 2, 10.005, 10.1)]
    assert spans.hops(chain) == pytest.approx([2.0, 3.0])


def test_quantiles_are_of_measured_values() -> None:
    assert quantile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert quantile(range(1, 101), 0.95) == 95
    assert math.isnan(quantile([], 0.5))


def figures(**seconds: float) -> Figures:
    """S4 of 1,000 nodes in these seconds, by name; S0 too."""
    found = Figures()
    for who, took in seconds.items():
        found.take(Sample(who.replace("_", " "), "S4", 1_000, took))
        found.take(Sample(who.replace("_", " "), "S0", 1_000, took))
    return found


def test_a_wrong_round_spoils_the_figure() -> None:
    found = figures(Headrace=0.1)
    assert found.median("S4 nodes/s") == 10_000
    found.take(Sample(OURS, "S4", 1_000, 0.01, wrong="a node ran twice"))
    assert found.median("S4 nodes/s") is None
    assert "WRONG" in text(found, verdicts(found))
    assert found.median("S0 nodes/s") == 10_000


def word_of(found: Figures, target: str) -> str:
    return next(one.word for one in verdicts(found) if one.text.startswith(target))


def test_targets_are_held_short_or_not_measured() -> None:
    found = figures(Headrace=0.1, RQ_SimpleWorker=1.2, BullMQ=0.12)
    assert word_of(found, "S4 nodes/s over RQ SimpleWorker") == "held"
    assert word_of(found, "S4 nodes/s over BullMQ") == "short"
    assert word_of(found, "S4 nodes/s over Celery") == "not measured"


def test_a_limit_itself_is_held() -> None:
    found = Figures()
    found.add("S5 seconds", OURS, 0.4)
    assert word_of(found, "S5") == "held"
    found.add("S5 seconds", OURS, 0.41)
    assert word_of(found, "S5") == "short"


def test_growth_compares_the_time_a_node_takes() -> None:
    found = Figures()
    found.add("growth chain 100 nodes/s", OURS, 900)
    found.add("growth chain 10000 nodes/s", OURS, 450)
    verdict = next(one for one in verdicts(found) if one.text.startswith("chain of 10,000: time"))
    assert (verdict.value, verdict.word) == (2.0, "short")
    assert growth_table(found)[1] == ["chain, nodes/s", "-", "900", "-", "450"]


def test_a_large_graph_beside_old_tasks_is_compared_with_one_alone() -> None:
    found = Figures()
    for name, rate, buffers in (("empty", 1_200.0, 50.0), ("full", 600.0, 55.0)):
        found.add(f"{name} fan 10000 nodes/s", OURS, rate)
        found.add(f"{name} fan 10000 buffers", OURS, buffers)
    title = "fan of 10,000, 1,000,000 old tasks: "
    assert word_of(found, f"{title}time") == "short"
    assert word_of(found, f"{title}buffers") == "held"
    assert ["fan, nodes/s", "-", "-", "1,200", "600"] in history_table(found)
    found.wrong["full", OURS] = "a node ran twice"
    assert word_of(found, f"{title}time") == "not measured"
    assert ["fan, buffers", "-", "WRONG", "50.0", "WRONG"] in history_table(found)


def test_floors_say_who_measured_them() -> None:
    found = figures(Headrace=0.1)
    found.floors.append(Floor("pgbench", "one-row commit", 3, 0.3, 10_000))
    line = "| one-row commit, 3 clients (pgbench) | mean 0.300 ms, 10,000 /s |"
    assert line in page(found, verdicts(found), {}, "2026-01-01")
    assert found.as_json()["floors"] == [
        {"by": "pgbench", "what": "one-row commit", "clients": 3, "mean_ms": 0.3, "rate": 10_000}
    ]


def test_tables_have_the_same_columns_in_every_row() -> None:
    found = figures(Headrace=0.1, BullMQ=0.2)
    found.take(Sample("Celery", "S1", 50, 0, wrong="late"))
    rows = table(found)
    assert {len(row) for row in rows} == {8}
    assert [row[0] for row in rows[1:]] == ["Headrace", "BullMQ", "Celery"]
    assert rows[3][2] == "WRONG"
    assert markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


@pytest.mark.parametrize("found", [Figures(), figures(Headrace=0.1, BullMQ=0.2)], ids=["empty", "some"])
def test_page_and_picture_can_be_made_of_anything(found: Figures) -> None:
    found.add("growth chain 10 nodes/s", OURS, 700)
    drawn = ET.fromstring(picture(found))
    bars = [one for one in drawn.iter("{http://www.w3.org/2000/svg}rect") if one.get("rx")]
    assert len(bars) == sum(
        who in ("Headrace", "BullMQ") for who in found.people() if ("S4 seconds", who) in found.values
    )
    assert "## Targets" in page(found, verdicts(found), {"machine": "one"}, "2026-01-01")


def test_options_name_what_they_do_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(["--only", "S1,S9"])
    assert "unknown: S9; known: S0, S1" in capsys.readouterr().err


def test_only_a_run_of_everything_is_full() -> None:
    assert options.parse([]).is_full
    assert not options.parse(["--quick"]).is_full
    assert not options.parse(["--only", "S1"]).is_full
    assert not options.parse(["--peers", "headrace,bullmq"]).is_full
