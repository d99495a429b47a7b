"""`headrace worker list|start|status|stop` and `headrace scale`, on a folder and an API of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli


def worker(**said: object) -> JsonObject:
    return {
        "name": "here-1",
        "pid": 1,
        "host": "here",
        "state": "running",
        "healthy": True,
        "projects": ["shop", "bank"],
        "startedAt": "2026-01-01T00:00:00Z",
        "lastHeartbeat": "2026-01-01T00:00:00Z",
        **said,
    }


GREET = """
    import this_prints_nothing_of_ours as other
    from headrace import worker_task as makes_a_worker
    print("imported")

    @makes_a_worker(
        'greet',
    )
    def hello(name: str): ...

    @other.again
    @makes_a_worker("say_goodbye")
    def bye(): ...
    """


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two activities in one file, a workflow that names one of them deep inside, and `.env`."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "greet.py").write_text(dedent(GREET))
    (tmp_path / "tasks" / "_this.py").write_text("")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "this_prints_nothing_of_ours.py").write_text("def again(function): return function")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    (tmp_path / ".env").write_text("HEADRACE_TASKS=tasks\n")
    inner: JsonObject = {"nodes": [{"id": "i", "type": "greet", "config": {}}], "edges": []}
    node: JsonObject = {"id": "m", "type": "map", "config": {"body": inner}}
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "all.json").write_text(json.dumps({"nodes": [node], "edges": []}))
    return tmp_path


def test_activities_are_found_by_import_and_used_where_a_workflow_names_them(cli: Cli, project: Path) -> None:
    said = cli("worker", "list")
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert [row for row in rows if row[2] == "project"] == [
        ["greet", "active", "project", "tasks/greet.py"],
        ["say_goodbye", "unused", "project", "tasks/greet.py"],
    ]
    assert ["waitFor", "unused", "built-in", "headrace"] in rows
    found = {one["name"]: one for one in json.loads(cli("worker", "list", "--json").out)}
    assert found["greet"] == {
        "name": "greet",
        "used": "active",
        "origin": "project",
        "source": "tasks/greet.py",
    }


def test_what_cannot_be_loaded_is_told_and_hides_no_other(cli: Cli, project: Path) -> None:
    (project / "tasks" / "needs.py").write_text("import no_such_module_anywhere")
    (project / "tasks" / "wrong.py").write_text("1 +")
    said = cli("worker", "list")
    assert said.code == 0
    assert "say_goodbye" in said.out
    assert (
        "✗ Failed to load worker tasks/needs.py: the module 'no_such_module_anywhere' is missing\n"
        "  Install with: pip install no_such_module_anywhere\n"
    ) in said.err
    assert "✗ Failed to load worker tasks/wrong.py: SyntaxError" in said.err


def test_without_files_it_says_so(cli: Cli) -> None:
    assert cli("worker", "list").err.startswith("No worker files found: ")


def test_what_running_workers_serve(cli: Cli, api: Api) -> None:
    items: JsonObject = {
        "items": [
            {"name": "a", "origin": "project", "usedBy": ["W"], "source": "tasks/a.py", "active": None},
            {"name": "b", "origin": "package", "usedBy": [], "source": "acme", "active": None},
            {"name": "kept", "origin": "stored", "usedBy": [], "active": None},
        ]
    }
    api.says("GET /activities", items)
    said = cli("worker", "list", "--remote", "--url", api.url).out.splitlines()
    assert [line.split() for line in said[1:]] == [
        ["a", "active", "project", "tasks/a.py"],
        ["b", "unused", "package", "acme"],
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--worker", "greeet"), "No worker greeet was found; there are buildPackage, greet, "),
        (("--all", "--worker", "greet"), "--all, --worker and --follow exclude each other"),
        (("--all", "--follow"), "exclude each other"),
    ],
)
def test_start_refuses_what_nobody_would_serve(
    cli: Cli, project: Path, arguments: tuple[str, ...], text: str
) -> None:
    said = cli("worker", "start", *arguments)
    assert said.code == 2
    assert text in said.err


def test_stop_waits_until_the_api_says_that_they_are_gone(cli: Cli, api: Api) -> None:
    api.says("POST /workers/stop", {"success": True, "message": "Worker stopped for project shop"})
    said = cli("worker", "stop", "--project", "shop", "--url", api.url)
    assert (said.code, said.out) == (0, "Workers stopped for project shop\n")
    assert api.asked == [("POST", "/workers/stop", {"projectId": "shop"})]
    api.says("POST /workers/stop", {"success": False, "error": "1 still runs"}, 500)
    said = cli("worker", "stop", "--url", api.url)
    assert (said.code, said.err) == (1, "1 still runs\n")


@pytest.mark.parametrize(("healthy", "state"), [(True, "running"), (False, "unhealthy")])
def test_a_line_says_whether_a_worker_is_heard_of(cli: Cli, api: Api, healthy: bool, state: str) -> None:
    api.says("GET /workers", {"items": [worker(healthy=healthy, state=state)]})
    line = cli("worker", "status", "--url", api.url).out.splitlines()[1]
    assert line.split()[:6] == ["here-1", "here", "1", state, "shop,", "bank"]


def test_scale_counts_the_workers_of_the_project(cli: Cli, api: Api) -> None:
    api.says("PUT /workers/desired", {"count": 1, "project": "shop"})
    api.says(
        "GET /workers",
        {"items": [worker(), worker(projects=["default"]), worker(healthy=False), worker(state="stopping")]},
    )
    assert cli("scale", "1", "--project", "shop", "--url", api.url).code == 0
    assert ("PUT", "/workers/desired", {"count": 1, "project": "shop"}) in api.asked
