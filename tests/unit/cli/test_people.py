"""`headrace approval`, `runs signal` and `runs signals`, against an API that says what each test tells it."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli

RUN = str(UUID(int=1))
TASK = f"{RUN}-0"
APPROVAL: JsonObject = {
    "taskId": TASK,
    "runId": RUN,
    "nodeId": "ask",
    "message": "Pay 90 EUR?",
    "options": ["approve", "reject"],
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-01-01T01:00:00Z",
}
QUESTION: JsonObject = {
    "taskId": f"{RUN}-1",
    "runId": RUN,
    "nodeId": "name",
    "question": "Who?",
    "answerType": "text",
    "type": "ASK_FOR_FULL_NAME",
    "since": "2026-01-01T00:00:00Z",
    "until": None,
}


@pytest.fixture
def asking(api: Api) -> Api:
    api.says("GET /approvals", {"items": [APPROVAL]})
    api.says("GET /questions", {"items": [QUESTION]})
    return api


def test_the_list_shows_approvals_and_questions(cli: Cli, asking: Api) -> None:
    said = cli("approval", "list", "--url", asking.url)

    assert said.code == 0
    for text in (TASK, "Pay 90 EUR?", "approve, reject", "Who?", "text ASK_FOR_FULL_NAME"):
        assert text in said.out
    assert cli("approval", "list", "--run", RUN, "--json", "--url", asking.url).out == (
        json.dumps({"approvals": [APPROVAL], "questions": [QUESTION]}, indent=2) + "\n"
    )
    assert asking.asked[-1][1] == f"/questions?runId={RUN}"


def test_nothing_to_decide_is_said(cli: Cli, api: Api) -> None:
    api.says("GET /approvals", {"items": []})
    api.says("GET /questions", {"items": []})

    assert cli("approval", "list", "--url", api.url).out == "Nothing waits for people.\n"


@pytest.mark.parametrize(
    ("arguments", "path", "body", "said"),
    [
        (("approval", "approve", TASK), f"/approvals/{TASK}", {"decision": "approve"}, "Decided: approve\n"),
        (
            ("approval", "reject", TASK, "--by", "Ada", "--data", '{"why": "no"}'),
            f"/approvals/{TASK}",
            {"decision": "reject", "by": "Ada", "data": {"why": "no"}},
            "Decided: reject\n",
        ),
        (
            ("approval", "decide", TASK, "later"),
            f"/approvals/{TASK}",
            {"decision": "later"},
            "Decided: later\n",
        ),
        (
            ("approval", "answer", TASK, "A. User", "--type", "ASK_FOR_FULL_NAME"),
            f"/questions/{TASK}",
            {"type": "ASK_FOR_FULL_NAME", "answer": "A. User"},
            "Answered\n",
        ),
        (
            ("approval", "answer", TASK, "[1, 2]", "--parse"),
            f"/questions/{TASK}",
            {"answer": [1, 2]},
            "Answered\n",
        ),
        (
            ("runs", "signal", RUN, "paid", "--payload", '{"sum": 9}', "--id", "one", "--node", "wait"),
            f"/runs/{RUN}/signals/paid",
            {"payload": {"sum": 9}, "id": "one", "node": "wait"},
            f"Sent paid to {RUN}\n",
        ),
        (("runs", "signal", RUN, "paid"), f"/runs/{RUN}/signals/paid", {}, f"Sent paid to {RUN}\n"),
    ],
)
def test_what_it_sends(
    cli: Cli, api: Api, arguments: tuple[str, ...], path: str, body: JsonObject, said: str
) -> None:
    api.says(f"POST {path}", {"taskId": TASK})

    answer = cli(*arguments, "--url", api.url)

    assert (answer.code, answer.out) == (0, said)
    assert api.asked == [("POST", path, body)]
    assert json.loads(cli(*arguments, "--json", "--url", api.url).out) == {"taskId": TASK}


def test_the_signals_of_a_run(cli: Cli, api: Api) -> None:
    one: JsonObject = {"runId": RUN, "sentAt": "2026-01-01T00:00:00Z", "name": "go", "payload": {"n": 1}}
    items: list[JsonObject] = [
        {**one, "id": "a", "status": "consumed", "node": None, "takenBy": "wait", "reason": None},
        {**one, "id": "b", "status": "refused", "node": None, "takenBy": None, "reason": "n: no number"},
        {**one, "id": "c", "status": "buffered", "node": "later", "takenBy": None, "reason": None},
        {**one, "id": "d", "status": "buffered", "node": None, "takenBy": None, "reason": None},
    ]
    answer = {"items": [*items]}
    api.says(f"GET /runs/{RUN}/signals", json.loads(json.dumps(answer)))
    said = cli("runs", "signals", RUN, "--url", api.url)
    assert said.code == 0
    lines = [line.split("go", 1)[1].split() for line in said.out.splitlines()[1:]]
    assert lines == [
        ["a", "consumed", "by", "wait"],
        ["b", "refused", "n:", "no", "number"],
        ["c", "buffered", "for", "later"],
        ["d", "buffered"],
    ]
    assert api.asked[-1][1] == f"/runs/{RUN}/signals?limit=100"
    more = cli("runs", "signals", RUN, "--children", "--limit", "5", "--json", "--url", api.url)
    assert json.loads(more.out) == answer
    assert api.asked[-1][1] == f"/runs/{RUN}/signals?limit=5&children=true"
    api.says(f"GET /runs/{RUN}/signals", {"items": []})
    assert cli("runs", "signals", RUN, "--url", api.url).out == "The run was sent no signals.\n"
    assert cli("runs", "signals", "no-id", "--url", api.url).code != 0
