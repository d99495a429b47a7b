"""The documentation, held against the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from headrace.engine.program import Rules
from headrace.graph.definition import Definition, Edge, Node, parse
from headrace.graph.join import Losers, Rule
from headrace.graph.settings import (
    Cache,
    Concurrency,
    OnFailure,
    Priority,
    Rate,
    Retry,
    RunConcurrency,
    Strict,
    Timeouts,
)
from headrace.graph.states import RUN_MOVES, TASK_MOVES, RunStatus, TaskStatus, mermaid
from headrace.graph.validate import require_valid
from headrace.nodes.builtin import builtin
from headrace.store import tables
from headrace.store.all_tables import ALL_TABLES
from support.project import ROOT, SETTINGS, headrace_calls, is_command, make_targets, read, tool

PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

docs = tool("docs")


@pytest.mark.parametrize("name", sorted(docs.PARTS))
def test_generated_parts_are_up_to_date(name: str) -> None:
    path, part = docs.PARTS[name]
    assert path.read_text() == docs.renewed(path.read_text(), name, part()), "run `make docs`"


def test_a_missing_place_for_a_generated_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 places"):
        docs.renewed("nothing here", "settings", "new")


def test_the_state_diagram_is_the_code_s() -> None:
    assert f"```mermaid\n{mermaid()}```" in read("docs/discussions/state-machine.md")


def test_every_setting_has_its_row() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|.*\| .+ \|$", read("docs/reference/settings.md"), re.MULTILINE)
    assert sorted(rows) == sorted(SETTINGS)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).is_file(), target


@each_page
def test_commands_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert target in make_targets(), target
    for words in headrace_calls(code(text)):
        assert is_command(plain(words)), words


@each_page
def test_paths_and_settings_exist(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"\b(?:app|worker|tests|docs|examples|tools)/[\w./-]+\.(?:py|md|json)\b", text):
        assert (ROOT / path).exists() or "<name>" in text or (ROOT / "docs" / path).exists(), path
    assert set(re.findall(r"\bHEADRACE_[A-Z]+(?:_[A-Z]+)*\b", text)) <= SETTINGS


@each_page
def test_workflows_in_examples_are_valid(page: Path) -> None:
    for block in re.findall(r"^```json\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        document = json.loads(block)
        if "nodes" in document:
            require_valid(parse(document), Rules(builtin()))


@pytest.mark.parametrize(
    "model", [Definition, Node, Edge, Retry, Timeouts, Concurrency, RunConcurrency, Rate, Cache]
)
def test_every_key_of_a_definition_is_explained(model: type[Strict]) -> None:
    text = read("docs/reference/definition.md")
    names = {field.alias or name for name, field in model.model_fields.items()}
    drawn = {"sourceHandle", "targetHandle"}  # written as branch, or as sourceHandleId in the wire form
    assert [
        name for name in sorted(names - drawn) if f"`{name}`" not in text and f'"{name}"' not in text
    ] == []


@pytest.mark.parametrize("words", [Rule, Losers, OnFailure, RunStatus, TaskStatus])
def test_every_word_is_explained(words: type[Rule | Losers | OnFailure | RunStatus | TaskStatus]) -> None:
    text = read("docs/reference/definition.md") + read("docs/discussions/state-machine.md")
    assert [str(word) for word in words if not re.search(rf"\b{word}\b", text)] == []


def test_every_priority_and_strategy_is_explained() -> None:
    priorities = [f"`{one.name}` ({one.value})" for one in Priority]
    text = read("docs/howto/control-runs.md")
    assert [one for one in priorities if one not in text] == []
    strategies = set(re.findall(r'^    "([a-z-]+)": {', read("app/headrace/graph/settings.py"), re.MULTILINE))
    assert len(strategies) == 3
    text = read("docs/howto/failures.md")
    assert [one for one in strategies if f"`{one}`" not in text] == []


def test_moves_of_runs_are_drawn_as_they_are() -> None:
    drawn = re.findall(r"^  (\w+) --> (\w+)$", read("docs/discussions/state-machine.md"), re.MULTILINE)
    moves = {(str(source), str(target)) for source, targets in RUN_MOVES.items() for target in targets}
    tasks = {(str(source), str(target)) for source, targets in TASK_MOVES.items() for target in targets}
    assert set(drawn) == moves | tasks


def test_every_table_is_described() -> None:
    described = re.findall(r"^### `(\w+)`$", read("docs/reference/database.md"), re.MULTILINE)
    assert sorted(described) == sorted(table.name for table in ALL_TABLES)


def test_every_example_is_described() -> None:
    text = read("examples/README.md")
    names = [one.relative_to(ROOT / "examples") for one in (ROOT / "examples").rglob("*.json")]
    assert [str(name) for name in names if f"`{name}`" not in text] == []


def test_every_event_is_listed() -> None:
    listed = set(re.findall(r"^\| `((?:task|run)\.\w+)` \|", read("docs/reference/events.md"), re.MULTILINE))
    tasks = {f"task.{status}" for status in TaskStatus if status is not TaskStatus.PENDING}
    runs = {f"run.{status}" for status in RunStatus if status is not RunStatus.RUNNING}
    written = set(re.findall(r'"((?:task|run)\.\w+)"', read("app/headrace/engine/history.py")))
    assert {"run.started", "run.reopened", "task.reopened"} <= written
    assert listed == tasks | runs | written


def test_every_node_type_is_described() -> None:
    text = read("docs/reference/node-types.md")
    assert [one.type for one in builtin() if f"`{one.type}`" not in text] == []


def test_figures_are_those_that_the_api_counts() -> None:
    named = set(re.findall(r"`(headrace_[a-z_]+)`", read("docs/howto/monitor.md")))
    assert named
    assert named <= set(re.findall(r'"(headrace_[a-z_]+)"', read("app/headrace/api/metrics.py")))


def test_queries_in_the_docs_name_columns_that_exist() -> None:
    columns = set(tables.TaskRow.model_fields) | set(tables.WorkerRow.model_fields)
    for query in re.findall(r"^```sql\n(.*?)^```", read("docs/howto/monitor.md"), re.MULTILINE | re.DOTALL):
        words = set(re.findall(r"\b[a-z]+_[a-z_]+\b", query)) - {"workflow_tasks", "workflow_workers"}
        assert words <= columns, words - columns


def code(text: str) -> str:
    """What stands in shell blocks and between backticks, but in headings."""
    text = re.sub(r"^#+ .*$", "", text, flags=re.MULTILINE)
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join(
        [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))]
    )


def plain(words: list[str]) -> list[str]:
    """The words up to the first that is an argument."""
    return [word for word in words if re.fullmatch("[a-z]+", word)]
