"""`headrace workflow list|upload|prune|validate` on a folder, and an API that says what a test wants."""

from __future__ import annotations

import io
import json
from pathlib import Path
from uuid import uuid4

import pytest

from headrace.graph.definition import parse, to_wire
from headrace.graph.json_types import JsonObject, JsonValue
from support.scripted_api import Api
from support.terminal import Cli

HELLO_ID, OLD_ID, NEW_ID = (str(uuid4()) for _ in range(3))


def definition(text: str, name: str) -> JsonObject:
    node: JsonObject = {"id": "a", "type": "notification", "config": {"template": text}}
    return {"name": name, "nodes": [node], "edges": []}


def stored(workflow_id: str, document: JsonObject) -> JsonObject:
    """As the API answers it."""
    facts: JsonObject = {
        "id": workflow_id,
        "project": "default",
        "version": 3,
        "createdAt": 1,
        "updatedAt": 2,
    }
    return {**to_wire(parse(document)), **facts}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two workflows, and files that are none."""
    made = tmp_path / "workflows"
    made.mkdir()
    (made / "hello.json").write_text(json.dumps(definition("Hello", "Hello")))
    (made / "new one.yaml").write_text("nodes: [{id: a, type: noop, config: {}}]\nedges: []\n")
    (made / "_draft.json").write_text("no JSON")
    (made / "notes.txt").write_text("")
    return made


@pytest.fixture
def on(api: Api, folder: Path) -> tuple[str, ...]:
    """The API has `Hello` as it is in the file, and `Old`."""
    lines: list[JsonValue] = [
        {"id": one, "name": name, "project": "default", "version": version, "updatedAt": 0}
        for one, name, version in ((HELLO_ID, "Hello", 3), (OLD_ID, "Old", 1))
    ]
    api.says("GET /workflows", lines)
    api.says(f"GET /workflows/{HELLO_ID}", stored(HELLO_ID, definition("Hello", "Hello")))
    api.says(f"PUT /workflows/{HELLO_ID}", {"id": HELLO_ID})
    api.says("POST /workflows", {"id": NEW_ID}, 201)
    return ("--url", api.url)


def sent(api: Api) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in api.asked if method != "GET"]


def test_list_what_is_stored(cli: Cli, on: tuple[str, ...]) -> None:
    said = cli("workflow", "list", *on).out.splitlines()
    assert [line.split()[1:4] for line in said] == [
        ["name", "project", "version"],
        ["Hello", "default", "3"],
        ["Old", "default", "1"],
    ]
    bare = cli("workflow", "ls", "--no-versions", *on).out
    assert "version" not in bare
    found = json.loads(cli("workflow", "list", "--json", *on).out)
    assert [(one["id"], one["name"], one["version"], one["updatedAt"]) for one in found] == [
        (HELLO_ID, "Hello", 3, 0),
        (OLD_ID, "Old", 1, 0),
    ]
    assert "version" not in json.loads(cli("workflow", "list", "--json", "--no-versions", *on).out)[0]


def test_list_files_and_both(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    local = cli("workflow", "list", "-l", *on).out.splitlines()
    assert local[1:] == ["Hello    workflows/hello.json  ", "new one  workflows/new one.yaml"]
    assert api.asked == []
    both = json.loads(cli("workflow", "list", "--all", "--json", *on).out)
    assert [(one["id"], one["name"], one.get("file")) for one in both] == [
        (HELLO_ID, "Hello", "workflows/hello.json"),
        (OLD_ID, "Old", None),
        (None, "new one", "workflows/new one.yaml"),
    ]
    assert cli("workflow", "list", "-l", "-r", *on).code == 2


def test_upload_what_is_new(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    said = cli("workflow", "upload", *on)
    assert said.out.splitlines() == [
        "Workflow Hello is up to date",
        "✓ Uploaded workflow: new one",
        "Summary: 2/2 workflows uploaded successfully",
    ]
    assert sent(api) == [("POST", "/workflows")]


def test_upload_what_has_changed_in_one_request(
    cli: Cli, api: Api, on: tuple[str, ...], folder: Path
) -> None:
    (folder / "hello.json").write_text(json.dumps(definition("Hi", "Hello")))
    said = cli("workflow", "upload", "-w", "Hello", *on).out.splitlines()
    assert said == ["✓ Uploaded workflow: Hello", "Summary: 1/1 workflows uploaded successfully"]
    assert sent(api) == [("PUT", f"/workflows/{HELLO_ID}")]  # and nothing is deleted before


def test_upload_by_force_and_by_the_files_name(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    assert cli("workflow", "upload", "--workflow", "hello", "--force", *on).code == 0
    assert sent(api) == [("PUT", f"/workflows/{HELLO_ID}")]


def test_upload_for_another_project_makes_another_workflow(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    assert cli("workflow", "upload", "-w", "Hello", "--project", "shop", *on).code == 0
    assert sent(api) == [("POST", "/workflows?project=shop")]


def test_upload_tells_what_is_wrong_and_goes_on(
    cli: Cli, api: Api, on: tuple[str, ...], folder: Path
) -> None:
    (folder / "broken.json").write_text(json.dumps({"nodes": "none", "edges": []}))
    details: JsonValue = [{"path": "nodes[0].type", "message": "unknown node type 'shout'"}]
    api.says("POST /workflows", {"message": "Not valid", "statusCode": 422, "details": details}, 422)
    said = cli("workflow", "upload", *on)
    assert (said.code, said.out.splitlines()[-1]) == (1, "Summary: 1/3 workflows uploaded successfully")
    assert "✗ new one: Not valid\n  nodes[0].type: unknown node type 'shout'\n" in said.err
    assert "✗ broken: " in said.err
    found = json.loads(cli("workflow", "upload", "--json", *on).out)
    assert [(one["name"], "error" in one) for one in found] == [
        ("broken", True),
        ("Hello", False),
        ("new one", True),
    ]


def test_upload_warns_of_what_nobody_has(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    warning: JsonValue = {"path": "nodes[0].config.activity", "message": "no activity 'gpt' is known"}
    api.says("POST /workflows", {"id": NEW_ID, "warnings": [warning]}, 201)
    said = cli("workflow", "upload", "-w", "new one", *on)
    assert (said.code, said.err) == (0, "Warning: nodes[0].config.activity: no activity 'gpt' is known\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-w", "Nobody"), "No workflow 'Nobody' here; there are Hello, new one"),
        (("--workflows", "elsewhere"), "No workflow files found in elsewhere"),
    ],
)
def test_upload_refuses_wrong_use(
    cli: Cli, on: tuple[str, ...], arguments: tuple[str, ...], text: str
) -> None:
    said = cli("workflow", "upload", *arguments, *on)
    assert (said.code, said.err) == (2, f"{text}\n")


def test_two_files_of_one_name_are_refused(cli: Cli, on: tuple[str, ...], folder: Path) -> None:
    (folder / "twice.json").write_text(json.dumps(definition("Other", "Hello")))
    said = cli("workflow", "upload", *on)
    assert said.code == 2
    assert said.err == "workflows/hello.json and workflows/twice.json have one name, 'Hello'\n"


def test_worker_upload_sends_tasks_and_then_workflows(
    cli: Cli, api: Api, on: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "tasks").mkdir()
    for name in ("greet", "served"):
        (tmp_path / "tasks" / f"{name}.py").write_text(f"def {name}(): ...")
    api.says("GET /activities", {"items": [{"name": "served", "origin": "project"}]})
    api.says("PUT /activities/greet", {"name": "greet", "hash": "ab" * 32, "isNew": True})
    said = cli("worker", "upload", *on)
    assert said.out.splitlines() == [
        "Task served comes with the workers",
        "✓ Uploaded task: greet (abababababab)",
        "Workflow Hello is up to date",
        "✓ Uploaded workflow: new one",
        "Summary: 1/1 tasks uploaded successfully",
        "Summary: 2/2 workflows uploaded successfully",
    ]
    assert [method for method, _ in sent(api)] == ["PUT", "POST"]
    api.says("PUT /activities/greet", {"message": "No", "statusCode": 422}, 422)
    failed = cli("worker", "upload", "--json", *on)
    assert failed.code == 1
    assert json.loads(failed.out)["tasks"] == [{"name": "greet", "error": "No"}]
    assert cli("worker", "upload", "--tasks", "no", "--workflows", "no", *on).code == 2


@pytest.fixture
def old(api: Api, on: tuple[str, ...]) -> tuple[str, ...]:
    """Two versions of `Hello` that nothing needs, none of `Old`."""
    api.says(f"POST /workflows/{HELLO_ID}/versions/prune", {"pruned": [1, 2]})
    api.says(f"POST /workflows/{OLD_ID}/versions/prune", {"pruned": []})
    return on


def deletions(api: Api) -> list[str]:
    bodies = [(path, body) for method, path, body in api.asked if method == "POST"]
    return [path for path, body in bodies if isinstance(body, dict) and not body["dryRun"]]


def test_prune_only_says_what_it_would_do(cli: Cli, api: Api, old: tuple[str, ...]) -> None:
    assert cli("workflow", "prune", "--dry-run", *old).out == "Would prune Hello: versions 1, 2\n"
    assert deletions(api) == []


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("", 1), ("y\n", 0)])
def test_prune_asks_first(
    cli: Cli, api: Api, old: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    said = cli("workflow", "prune", *old)
    assert (said.code, len(deletions(api))) == (code, 1 - code)
    assert "Delete these versions?\n  Hello: versions 1, 2\n" in said.err


def test_prune_one_by_force(cli: Cli, api: Api, old: tuple[str, ...]) -> None:
    said = cli("workflow", "prune", "-w", "Hello", "-v", "2", "--force", "--json", *old)
    assert json.loads(said.out) == [{"id": HELLO_ID, "name": "Hello", "versions": [1, 2]}]
    body: JsonObject = {"version": 2, "dryRun": False}
    assert api.asked[-1] == ("POST", f"/workflows/{HELLO_ID}/versions/prune", body)
    assert cli("workflow", "prune", "-w", "Old", "--force", *old).out == "Nothing to prune.\n"
    assert cli("workflow", "prune", "-v", "2", *old).code == 2


def test_validate_the_folder_knows_its_activities(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    source = "from headrace import worker_task\n@worker_task('greet')\ndef greet(name: str): ...\n"
    (tmp_path / "tasks" / "greet.py").write_text(source)
    (tmp_path / ".env").write_text("HEADRACE_TASKS=tasks\n")
    own: JsonObject = {"id": "a", "type": "greet", "config": {"name": "Ada"}}
    named: JsonObject = {"id": "b", "type": "activity", "config": {"activity": "greet", "input": {"name": 7}}}
    missing: JsonObject = {"id": "c", "type": "activity", "config": {"activity": "gone"}}
    (folder / "own.json").write_text(json.dumps({"nodes": [own, missing], "edges": []}))
    well = cli("workflow", "validate")
    assert (well.code, well.out.splitlines()) == (
        0,
        [
            "workflows/hello.json is valid: 1 nodes, 0 edges",
            "workflows/new one.yaml is valid: 1 nodes, 0 edges",
            "workflows/own.json is valid: 2 nodes, 0 edges",
        ],
    )
    assert "no activity 'gone' is known to any worker yet" in well.err
    (folder / "own.json").write_text(json.dumps({"nodes": [own, named], "edges": []}))
    bad = cli("workflow", "validate")
    assert bad.code == 1
    assert "✗ workflows/own.json: " in bad.err
    assert "nodes[1].config.input.name" in bad.err
    verdicts = json.loads(cli("workflow", "validate", "--json").out)
    assert [one["valid"] for one in verdicts] == [True, True, False]


def test_validate_without_files(cli: Cli) -> None:
    assert cli("workflow", "validate").err == "No workflow files found in workflows\n"
