"""Commands against an API that says what each test tells it to."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from headrace import __version__
from headrace.cli.workers import is_fresh
from headrace.config import Settings
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.local import leash
from headrace.local.stack import Running
from headrace.store.workers import Worker
from support.scripted_api import Api
from support.terminal import Cli

ID, OTHER, RUN = str(UUID(int=1)), str(UUID(int=2)), str(UUID(int=3))
NODE: JsonObject = {"id": "a", "type": "notification", "name": "A", "config": {"template": "Hi"}}
DEFINITION: JsonObject = {"name": "Greet", "nodes": [NODE], "edges": []}


def line(workflow_id: str, name: str = "Greet") -> JsonObject:
    return {"id": workflow_id, "name": name, "updatedAt": 0}


def run_of(status: str) -> JsonObject:
    moment = "2026-01-01T00:00:00Z"
    task: JsonObject = {"nodeId": "a", "status": "completed", "attempt": 1}
    text: JsonObject = {"type": "node-output", "kind": "notification", "message": "Hi!", "timestamp": moment}
    return {
        "id": RUN,
        "workflowId": ID,
        "status": status,
        "startedAt": moment,
        "finishedAt": "2026-01-01T00:00:01.5Z",
        "tasks": [task],
        "logs": [text],
    }


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "greet.json"
    path.write_text(json.dumps(DEFINITION))
    return str(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_says_what_to_do_when_nobody_answers(cli: Cli) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    answer = cli("workflow", "list", "--url", url)
    assert answer.code == 4
    assert answer.err == (
        f"No Headrace API answers at {url}. Start one with `make up` or `headrace up`, or set HEADRACE_URL.\n"
    )
    assert answer.out == ""


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("scale",), ("scale", "-1"), ("scale", "many"), ("up", "--port", "70000"), ("run",)],
)
def test_wrong_use_is_two(cli: Cli, arguments: tuple[str, ...]) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert "Usage:" in answer.err


def test_a_bad_setting_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    answer = cli("workflow", "list")
    assert answer.code == 2
    assert answer.err.startswith("PORT: ")


def test_version(cli: Cli) -> None:
    assert cli("version").out == f"headrace {__version__}\n"
    assert json.loads(cli("version", "--json").out) == {"version": __version__}


def test_the_api_is_found_in_this_order(
    cli: Cli, api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api.says("GET /workflows", [])
    nobody = f"http://127.0.0.1:{free_port()}"
    stack = tmp_path / ".headrace"
    stack.mkdir()
    running = Running(os.getpid(), leash.identity(os.getpid()), "", "", api.url)
    (stack / "stack.json").write_text(json.dumps(vars(running)))
    assert cli("workflow", "list").out == "No workflows yet.\n"
    monkeypatch.setenv("HEADRACE_URL", nobody)
    assert cli("workflow", "list").code == 4
    assert cli("workflow", "list", "--url", api.url).code == 0


def test_the_key_is_sent(cli: Cli, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.says("GET /workflows", [])
    monkeypatch.setenv("HEADRACE_API_KEY", "secret")
    cli("workflow", "list", "--url", api.url)
    assert api.headers[0]["authorization"] == "Bearer secret"


def test_what_the_api_refuses_is_told_in_full(cli: Cli, api: Api, file: str) -> None:
    details: JsonValue = [
        {"path": "nodes[0].type", "message": "unknown", "hint": "known: delay"},
        {"path": "", "message": "a cycle"},
    ]
    body: JsonObject = {
        "message": "The workflow definition is not valid",
        "statusCode": 422,
        "details": details,
    }
    api.says("POST /workflows", body, 422)
    answer = cli("workflow", "create", file, "--url", api.url)
    assert answer.code == 1
    assert answer.err.splitlines() == [
        "The workflow definition is not valid",
        "  nodes[0].type: unknown (known: delay)",
        "  a cycle",
    ]


DEAD: JsonObject = {
    "name": "Dead",
    "nodes": [
        {"id": "if", "type": "ifElse"},
        {"id": "join", "type": "noop", "join": "all_success"},
    ],
    "edges": [
        {"source": "if", "target": "join", "branch": "out-true"},
        {"source": "if", "target": "join", "branch": "out-false"},
    ],
}


def test_validate_warns(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "dead.json"
    path.write_text(json.dumps(DEAD))
    answer = cli("workflow", "validate", str(path))
    assert answer.code == 0
    assert answer.err.startswith("Warning: nodes[1].join: node 'join' can never run (")
    machine = cli("workflow", "validate", str(path), "--json")
    said = json.loads(machine.out)
    assert (machine.err, said["valid"], said["warnings"][0]["path"]) == ("", True, "nodes[1].join")


def test_validate_tells_of_a_misspelt_setting(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "slip.json"
    path.write_text(json.dumps(DEFINITION | {"nodes": [NODE | {"config": {"templte": "Hi"}}]}))
    answer = cli("workflow", "validate", str(path))
    assert answer.err == (
        "Warning: nodes[0].config.templte: is no setting and is not read (did you mean 'template'?)\n"
    )


def test_saving_shows_the_warnings(cli: Cli, api: Api, file: str) -> None:
    warning: JsonValue = {"path": "nodes[0]", "message": "odd", "hint": "mend it"}
    api.says("POST /workflows", line(ID) | {"warnings": [warning]}, 201)
    answer = cli("workflow", "create", file, "--url", api.url)
    assert (answer.code, answer.out, answer.err) == (0, f"{ID}\n", "Warning: nodes[0]: odd (mend it)\n")


OLD: JsonObject = {
    "nodes": [
        {
            "node_id": "say",
            "node_type": "notification",
            "config": {"message": "Hi", "channel": "email"},
        }
    ]
}
NOTE = "nodes[0].config.channel: written into the run's log, not sent: email (send it with an apiCall node)"


def test_another_systems_definition_is_shown_as_ours(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(OLD))
    answer = cli("workflow", "import", str(path), "--format", "graph_config", "--dry-run")
    assert (answer.code, answer.err) == (0, f"Note: {NOTE}\n")
    document = json.loads(answer.out)
    assert (document["name"], document["nodes"][0]["config"]) == ("old", {"template": "Hi"})


def test_another_systems_definition_is_imported(cli: Cli, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(json.dumps(OLD))
    note: JsonValue = {"path": "nodes[0]", "message": "odd"}
    api.says("POST /workflows/import", {"id": ID, "notes": [note], "warnings": []}, 201)
    asked = ("workflow", "import", str(path), "--format", "graph_config", "--url", api.url)
    answer = cli(*asked)
    assert (answer.code, answer.out, answer.err) == (0, f"{ID}\n", "Note: nodes[0]: odd\n")
    assert api.asked == [("POST", "/workflows/import?format=graph_config", {"name": "old", **OLD})]
    assert json.loads(cli(*asked, "--json").out) == {"id": ID}


def test_what_is_no_headrace_is_said(cli: Cli, api: Api) -> None:
    api.says("GET /workflows", {"surprise": True})
    answer = cli("workflow", "list", "--url", api.url)
    assert answer.code == 1
    assert "unexpected" in answer.err


def test_a_file_is_saved_as_a_new_workflow_and_run(cli: Cli, api: Api, file: str) -> None:
    api.says("GET /workflows", [line(OTHER, "Another")])
    api.says("POST /workflows", line(ID), 201)
    api.says(f"POST /workflows/{ID}/execute-async", {"runId": RUN}, 201)
    answer = cli("run", file, "--input", '{"a": 1}', "--url", api.url)
    assert (answer.code, answer.out) == (0, f"{RUN}\n")
    assert api.asked[1:] == [
        ("POST", "/workflows", DEFINITION),
        ("POST", f"/workflows/{ID}/execute-async", {"input": {"a": 1}}),
    ]


def test_a_file_is_the_next_version_of_the_workflow_with_its_name(cli: Cli, api: Api, file: str) -> None:
    api.says("GET /workflows", [line(ID)])
    api.says(f"PUT /workflows/{ID}", line(ID))
    api.says(f"POST /workflows/{ID}/execute-async", {"runId": RUN}, 201)
    answer = cli("run", file, "--json", "--url", api.url)
    assert json.loads(answer.out) == {"runId": RUN}
    assert api.asked[1] == ("PUT", f"/workflows/{ID}", DEFINITION)


def test_an_ambiguous_name_lists_the_ids(cli: Cli, api: Api) -> None:
    api.says("GET /workflows", [line(ID), line(OTHER)])
    answer = cli("run", "Greet", "--url", api.url)
    assert answer.code == 2
    assert ID in answer.err
    assert OTHER in answer.err


def test_an_unknown_name_is_said(cli: Cli, api: Api) -> None:
    api.says("GET /workflows", [line(ID)])
    answer = cli("run", "greet", "--url", api.url)
    assert answer.code == 1
    assert "There is no workflow 'greet'" in answer.err


def test_an_input_that_is_no_json_starts_nothing(cli: Cli, api: Api) -> None:
    answer = cli("run", ID, "--input", "{", "--url", api.url)
    assert answer.code == 2
    assert api.asked == []


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 3)])
def test_watching_ends_with_the_runs_status(cli: Cli, api: Api, status: str, code: int) -> None:
    running = {"type": "task.running", "nodeId": "a", "at": "2026-01-01T00:00:00.5Z"}
    api.says(f"POST /workflows/{ID}/execute-async", {"runId": RUN}, 201)
    api.says(f"GET /runs/{RUN}", run_of(status))
    api.streams[f"/runs/{RUN}/events"] = [
        f"id: 1-1\nevent: task.running\ndata: {json.dumps(running)}\n\nevent: end\ndata: {{}}\n\n"
    ]
    answer = cli("run", ID, "--watch", "--url", api.url)
    assert answer.code == code
    assert answer.out.splitlines() == [
        f"Run {RUN}",
        "   +0.500 s  running          a",
        "",
        "Hi!",
        "",
        f"Run {RUN} {status} in 1.50 s",
    ]


def test_watching_in_json_prints_the_run_alone(cli: Cli, api: Api) -> None:
    api.says(f"GET /runs/{RUN}", run_of("failed"))
    api.streams[f"/runs/{RUN}/events"] = ["event: end\ndata: {}\n\n"]
    answer = cli("runs", "watch", RUN, "--json", "--url", api.url)
    assert answer.code == 1
    assert json.loads(answer.out) == run_of("failed")


def test_watching_ends_in_time(cli: Cli, api: Api) -> None:
    api.says(f"GET /runs/{RUN}", run_of("running"))
    api.streams[f"/runs/{RUN}/events"] = [": still here\n\n"] * 10_000
    answer = cli("runs", "watch", RUN, "--timeout", "0.2", "--url", api.url)
    assert answer.code == 5
    assert f"headrace runs show {RUN}" in answer.err


def test_runs_are_listed_with_the_names_of_their_workflows(cli: Cli, api: Api) -> None:
    api.says("GET /runs", {"items": [run_of("failed")]})
    api.says("GET /workflows", [line(ID)])
    answer = cli("runs", "list", "--workflow", ID, "--status", "failed", "--limit", "5", "--url", api.url)
    assert api.asked[0][1] == f"/runs?limit=5&status=failed&workflowId={ID}"
    assert answer.out.splitlines()[1].split()[:3] == [RUN, "Greet", "failed"]


@pytest.mark.parametrize("command", ["show", "logs", "watch", "cancel"])
def test_what_is_no_id_is_no_run(cli: Cli, api: Api, command: str) -> None:
    answer = cli("runs", command, "../workers", "--url", api.url)
    assert answer.code == 1
    assert "There is no run '../workers'" in answer.err
    assert api.asked == []


def test_a_definition_is_validated_without_a_server(cli: Cli, file: str, tmp_path: Path) -> None:
    assert cli("workflow", "validate", file).out == f"{file} is valid: 1 nodes, 0 edges\n"
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(DEFINITION | {"nodes": [NODE | {"type": "nothing"}]}))
    answer = cli("workflow", "validate", str(bad))
    assert answer.code == 1
    assert "unknown node type 'nothing'" in answer.err


@pytest.mark.parametrize("command", ["migrate", "api", "verify"])
def test_without_servers_one_is_told_how_to_get_them(cli: Cli, command: str) -> None:
    answer = cli(command, *(["--port", "0"] if command == "api" else []))
    assert answer.code == 2
    assert "DATABASE_URL is not set" in answer.err
    assert "`headrace up` starts one" in answer.err


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def worker(host: str = "here", state: str = "running", age: float = 5) -> Worker:
    beat = NOW - timedelta(seconds=age)
    return Worker(
        uuid4(),
        "w",
        host,
        1,
        state,
        ("default",),
        (),
        64,
        NOW,
        beat,
        None,
        0,
        0,
        0,
        {},
        0.0,
        None,
        None,
        True,
    )


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (worker(), True),
        (worker(state="starting"), True),
        (worker(host="elsewhere"), False),
        (worker(age=31), False),
        (worker(state="stopping"), False),
        (worker(state="failed"), False),
    ],
)
def test_a_container_is_healthy_while_its_worker_beats(one: Worker, expected: bool) -> None:
    assert is_fresh(one, "here", NOW) is expected


def test_every_setting_is_taken_away_from_these_tests(cli: Cli) -> None:
    assert Settings().model_fields_set == set()
