"""`headrace tasks` against an API that says what each test tells it to."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from headrace.engine.activities import hash_of
from headrace.graph.json_types import JsonObject, JsonValue
from support.scripted_api import Api
from support.terminal import Cli

GREET = "def greet(name):\n    return 'Hello ' + name\n"


def line(name: str, source: str, *used_by: str, origin: str = "stored") -> JsonObject:
    active: JsonValue = {"hash": hash_of("python", name, source), "language": "python", "entry": name}
    return {
        "name": name,
        "origin": origin,
        "usedBy": [*used_by],
        "active": active if origin == "stored" else None,
    }


@pytest.fixture
def on(api: Api, tmp_path: Path) -> tuple[str, ...]:
    """A folder with `greet` and `send`; the API has `greet` and `old`, and a worker brings `buildPackage`."""
    (tmp_path / "greet.py").write_text(GREET)
    (tmp_path / "send.js").write_text("exports.send = (x) => x;")
    (tmp_path / "_shared.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    items: list[JsonValue] = [
        line("buildPackage", "", origin="built-in"),
        line("greet", GREET, "Welcome"),
        line("old", "def old(): ..."),
    ]
    api.says("GET /activities", {"items": items})
    return ("--tasks", str(tmp_path), "--url", api.url)


def test_list_files_and_what_the_api_knows(cli: Cli, on: tuple[str, ...]) -> None:
    said = cli("tasks", "list", *on).out.splitlines()
    assert [one.split()[0] for one in said] == ["name", "buildPackage", "greet", "old", "send"]
    assert said[2].split()[1:4] == ["active", "stored", hash_of("python", "greet", GREET)[:12]]
    assert said[3].split()[1:3] == ["unused", "stored"]


def test_list_one_side(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    local = cli("tasks", "ls", "--local", "--json", *on).out
    assert [one["name"] for one in json.loads(local)] == ["greet", "send"]
    assert api.asked == []
    remote = cli("tasks", "list", "--remote", "--json", *on).out
    assert [one["name"] for one in json.loads(remote)] == ["buildPackage", "greet", "old"]
    assert cli("tasks", "list", "--local", "--remote", *on).code == 2


def test_list_says_what_differs(cli: Cli, on: tuple[str, ...], tmp_path: Path) -> None:
    def states() -> dict[str, str]:
        found = json.loads(cli("tasks", "list", "--sync", "--json", *on).out)
        return {one["name"]: one["sync"] for one in found}

    assert states() == {"buildPackage": "no file", "greet": "same", "old": "no file", "send": "not uploaded"}
    (tmp_path / "greet.py").write_text(GREET + "# edited\n")
    assert states()["greet"] == "differs"
    assert "differs" in cli("tasks", "list", "--sync", *on).out


def test_upload_what_is_new(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    api.says("PUT /activities/send", {"name": "send", "hash": "ab" * 32, "isNew": True, "isActive": True})
    said = cli("tasks", "upload", "--all", *on)
    assert said.out.splitlines() == [
        "Task greet is up to date",
        "✓ Uploaded task: send (abababababab)",
        "Summary: 2/2 tasks uploaded successfully",
    ]
    sent: JsonObject = {"language": "javascript", "source": "exports.send = (x) => x;", "activate": True}
    assert api.asked[-1] == ("PUT", "/activities/send?project=default", sent)


def test_upload_by_force_and_with_an_entry(cli: Cli, api: Api, on: tuple[str, ...], tmp_path: Path) -> None:
    api.says("PUT /activities/greet", {"name": "greet", "hash": "cd" * 32, "isNew": False, "isActive": False})
    path = str(tmp_path / "greet.py")
    said = cli("tasks", "upload", path, "--force", "--entry", "greet", "--no-activate", *on)
    assert said.out == "✓ Uploaded task: greet (cdcdcdcdcdcd)\n"
    assert api.asked[-1][2] == {"language": "python", "source": GREET, "activate": False, "entry": "greet"}


def test_upload_says_what_is_wrong(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    details: JsonValue = [{"path": "source", "message": "line 3: invalid syntax"}]
    refusal: JsonObject = {"message": "The source is not valid", "statusCode": 422, "details": details}
    api.says("PUT /activities/send", refusal, 422)
    said = cli("tasks", "upload", "--all", *on)
    assert said.code == 1
    assert "line 3: invalid syntax" in said.err
    assert said.out.endswith("Summary: 1/2 tasks uploaded successfully\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name a task, or give --all"),
        (("greet", "--all"), "name a task, or give --all"),
        (("nobody",), "There is no task file"),
        (("nobody.py",), "cannot be read"),
    ],
)
def test_upload_refuses_wrong_use(
    cli: Cli, on: tuple[str, ...], arguments: tuple[str, ...], text: str
) -> None:
    said = cli("tasks", "upload", *arguments, *on)
    assert said.code == 2
    assert text in said.err


def test_two_files_of_one_name_are_refused(cli: Cli, on: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "greet.js").write_text("")
    said = cli("tasks", "list", *on)
    assert (said.code, "have one name" in said.err) == (2, True)


def test_purge_one(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    api.says("DELETE /activities/old", {"deleted": True})
    assert cli("tasks", "purge", "old", "-y", "--url", api.url).out == "Purged old\n"
    assert cli("tasks", "purge", "old", "-y", "--force", "--url", api.url).code == 0
    assert [path for method, path, _ in api.asked if method == "DELETE"] == [
        "/activities/old?project=default",
        "/activities/old?project=default&force=true",
    ]


def test_purge_what_nothing_uses(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    api.says("DELETE /activities/old", {"deleted": True})
    said = cli("tasks", "purge", "--orphaned", "--yes", "--json", "--url", api.url)
    assert json.loads(said.out) == {"purged": ["old"]}
    assert cli("tasks", "purge", "--url", api.url).code == 2


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("", 1), ("y\n", 0)])
def test_purge_asks_first(
    cli: Cli, api: Api, on: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    api.says("DELETE /activities/old", {"deleted": True})
    assert cli("tasks", "purge", "old", "--url", api.url).code == code
    assert ("DELETE" in [method for method, _, _ in api.asked]) == (code == 0)


def test_activate_and_roll_back(cli: Cli, api: Api, on: tuple[str, ...]) -> None:
    answer: JsonObject = {"name": "greet", "hash": "ef" * 32}
    api.says("POST /activities/greet/activate", answer)
    api.says("POST /activities/greet/rollback", answer)
    assert (
        "use version efefefef of greet" in cli("tasks", "activate", "greet", "efefefef", "--url", api.url).out
    )
    assert "use version efefefefefef of greet" in cli("tasks", "rollback", "greet", "--url", api.url).out
    assert api.asked[0][2] == {"hash": "efefefef"}
