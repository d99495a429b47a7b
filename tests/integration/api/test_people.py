"""Signals, approvals, questions and links over HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID, uuid4

import httpx
import pytest

from headrace.engine.again import retry_run
from headrace.engine.program import Engine
from headrace.engine.sweep import wake_due
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import recovery
from support.api import finish, saved, serving, settings_for, started
from support.build import edge, node, workflow
from support.drive import drain, status_of, tasks_of
from support.rows import end_waits

pytestmark = pytest.mark.anyio

OLD, NEW = "old" * 12, "new" * 12

FORM: JsonObject = {
    "type": "object",
    "required": ["sum"],
    "properties": {"sum": {"type": "integer", "title": "How <much>?"}, "rush": {"type": "boolean"}},
}
ASK = node("ask", "approval", config={"message": "Pay {{sum}} & <b>go</b>?", "timeout": "1h"})
WITH_FORM = node("ask", "approval", config={"message": "How much?", "form": FORM})
APPROVAL = workflow(
    [ASK, node("paid"), node("kept")], [edge("ask", "paid", "out-approve"), edge("ask", "kept", "out-reject")]
)
QUESTION = workflow(
    [node("name", "question", config={"question": "Who, {{who}}?", "type": "ASK_NAME", "actor": "Ada"})], []
)
SIGNAL = workflow(
    [node("wait", "waitSignal", config={"name": "go", "payloadSchema": {"type": "object"}})],
    [],
)


async def asking(client: httpx.AsyncClient, engine: Engine, document: JsonObject) -> str:
    """A run whose first node has begun to wait."""
    run_id = await started(client, await saved(client, document), {"sum": 9, "who": "Bob"})
    await finish(engine, run_id)
    return run_id


async def go_on(engine: Engine) -> None:
    """Delivers all that is queued, until nothing is."""
    async with engine.db.transaction() as tx:
        queued = await recovery.overdue(tx, 0.0, 100)
    await drain(engine, [one.dispatch() for one in queued])


async def output_of(engine: Engine, task_id: str) -> JsonValue:
    run_id, _, position = task_id.rpartition("-")
    found = {task.id.position: task for task in (await tasks_of(engine, UUID(run_id))).values()}
    return found[int(position)].output


async def link_of(client: httpx.AsyncClient, task_id: str, option: str, by: str = "") -> str:
    answer = await client.get(f"/approvals/{task_id}/links", params={"by": by})
    assert answer.status_code == 200, answer.text
    return {one["option"]: str(one["url"]) for one in answer.json()["links"]}[option]


async def test_a_signal_by_each_of_its_addresses(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, SIGNAL)
    for address in (f"/workflows/{workflow_id}/runs", "/workflows/runs", "/runs"):
        run_id = await started(client, workflow_id)
        await finish(engine, run_id)
        url = f"{address}/{run_id}/signals/go"

        refused = await client.post(url, json={"payload": "text", "id": "one"})
        assert (refused.status_code, refused.json()["details"][0]["path"]) == (422, "payload")
        sent = await client.post(url, json={"payload": {"n": 1}, "id": "one"})
        assert (sent.status_code, sent.json()) == (
            200,
            {"id": "one", "name": "go", "taskId": f"{run_id}-0", "runId": run_id},
        )
        assert (await client.post(url, json={"payload": {"n": 1}, "id": "one"})).json() == sent.json()
        assert (await client.post(url, json={"payload": {"n": 2}, "id": "one"})).status_code == 409
        await go_on(engine)
        assert await output_of(engine, f"{run_id}-0") == {"n": 1}
        assert (await client.post(url, json={"payload": {}})).status_code == 409, "the run has ended"


async def test_what_a_signal_may_not_be(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, SIGNAL)
    run_id = await asking(client, engine, SIGNAL)
    url = f"/runs/{run_id}/signals/go"

    assert (await client.post(f"/runs/{uuid4()}/signals/go")).status_code == 404
    assert (await client.post(f"/workflows/{workflow_id}/runs/{run_id}/signals/go")).status_code == 404
    assert (await client.post(url, json={"payload": {"x": "y" * 300_000}})).status_code == 413
    assert (await client.post(url, json={"payload": {}, "node": "nobody"})).status_code == 404
    assert (await client.post(url, json={"playload": {}})).status_code == 422
    assert (await client.post(url, json={"payload": {"x": "\x00"}})).status_code == 422
    assert (await client.post(f"/runs/{run_id}/signals/early")).json()["taskId"] is None


async def test_a_name_with_slashes_and_the_list_of_what_was_sent(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    document = workflow([node("wait", "waitSignal", config={"name": "order/7/paid"})], [])
    run_id = await asking(client, engine, document)
    workflow_id = (await client.get(f"/runs/{run_id}")).json()["workflowId"]
    url = f"/workflows/{workflow_id}/runs/{run_id}/signals"

    early = await client.post(f"{url}/other", json={"payload": 1, "id": "a", "node": "wait"})
    assert (early.json()["name"], early.json()["taskId"]) == ("other", None)
    for name in ("order/7/paid", "order%2F7%2Fpaid"):
        sent = await client.post(f"{url}/{name}", json={"payload": 2, "id": "b"})
        assert (sent.status_code, sent.json()["taskId"]) == (200, f"{run_id}-0")
    listed = (await client.get(url)).json()["items"]
    assert [(one["id"], one["name"], one["status"], one["takenBy"]) for one in listed] == [
        ("a", "other", "buffered", None),
        ("b", "order/7/paid", "consumed", "wait"),
    ]
    assert (listed[0]["node"], listed[1]["payload"], listed[1]["taskId"]) == ("wait", 2, f"{run_id}-0")
    assert (await client.get(f"/runs/{uuid4()}/signals")).status_code == 404
    assert (await client.get(f"{url}?limit=1&offset=1")).json()["items"] == listed[1:]


async def test_items_are_found_in_the_run_and_signalled_by_their_path(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    body = node("wait", "waitSignal", config={"name": "go"})
    document = workflow([node("map", "map", config={"items": [1, 2], "body": body})], [])
    run_id = await asking(client, engine, document)
    tasks = (await client.get(f"/runs/{run_id}")).json()["tasks"]
    children = tasks[0]["childRuns"]
    assert [(one["index"], one["status"]) for one in children] == [(0, "running"), (1, "running")]
    assert [(one["nodeId"], one["runId"]) for one in tasks[1:]] == [
        ("map[0]/wait", children[0]["runId"]),
        ("map[1]/wait", children[1]["runId"]),
    ]

    url = f"/runs/{run_id}/signals/go"
    by_path = await client.post(url, json={"payload": 1, "node": "map[0]/wait"})
    assert by_path.json()["runId"] == children[0]["runId"]
    await client.post(f"/runs/{children[1]['runId']}/signals/go", json={"payload": 2})
    vague = await client.post(url, json={"node": "map/wait"})
    assert (vague.status_code, "say which" in vague.json()["message"]) == (409, True)
    everything = (await client.get(f"/runs/{run_id}/signals", params={"children": True})).json()["items"]
    assert [one["runId"] for one in everything] == [one["runId"] for one in children]
    await go_on(engine)
    assert (await client.get(f"/runs/{run_id}")).json()["tasks"][0]["output"] == [1, 2]


async def test_the_first_decision_counts(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, APPROVAL)
    other = await asking(client, engine, APPROVAL)

    listed = (await client.get("/approvals")).json()["items"]
    assert [one["runId"] for one in listed] == sorted([run_id, other])
    [line] = (await client.get("/approvals", params={"runId": run_id})).json()["items"]
    assert line["message"] == "Pay 9 & <b>go</b>?"
    assert (line["options"], line["form"], line["nodeId"]) == (["approve", "reject"], None, "ask")
    assert line["until"] > line["since"]

    url = f"/approvals/{line['taskId']}"
    unknown = await client.post(url, json={"decision": "maybe"})
    assert (unknown.status_code, unknown.json()["details"]) == (
        422,
        [{"path": "decision", "message": "is not one of the options", "hint": "approve, reject"}],
    )
    assert (await client.post(url, json={"decision": "reject", "by": "Ada"})).status_code == 200
    assert (await client.post(url, json={"decision": "approve"})).status_code == 409
    assert len((await client.get("/approvals")).json()["items"]) == 1

    await go_on(engine)
    assert (await client.post(url, json={"decision": "approve"})).status_code == 409
    assert {task.node_id: task.status for task in (await tasks_of(engine, UUID(run_id))).values()} == {
        "ask": "completed",
        "paid": "skipped",
        "kept": "completed",
    }
    decided = await output_of(engine, line["taskId"])
    assert isinstance(decided, dict)
    assert decided.pop("at")
    assert decided == {"decision": "reject", "data": None, "by": "Ada", "timedOut": False}


@pytest.mark.parametrize(
    "task_id", ["nonsense", str(UUID(int=7)), f"{UUID(int=7)}-0", f"{UUID(int=7)}-99999999999", "a-b"]
)
async def test_what_is_no_task(client: httpx.AsyncClient, task_id: str) -> None:
    assert (await client.post(f"/approvals/{task_id}", json={"decision": "approve"})).status_code == 404
    assert (await client.post(f"/questions/{task_id}", json={"answer": "x"})).status_code == 404
    assert (await client.get(f"/approvals/{task_id}/links")).status_code == 404


async def test_an_answer_is_matched_by_task_and_type(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, QUESTION)
    [line] = (await client.get("/questions")).json()["items"]
    assert (line["question"], line["type"], line["actor"]) == ("Who, Bob?", "ASK_NAME", "Ada")
    assert (line["until"], line["answerType"]) == (None, "text")
    url = f"/questions/{line['taskId']}"

    assert (await client.post(f"/approvals/{line['taskId']}", json={"decision": "x"})).status_code == 404
    for wrong, path in (
        ({"type": "ASK_DATE", "answer": "A. User"}, "type"),
        ({"type": "ASK_NAME", "answer": "  "}, "answer"),
        ({"type": "ASK_NAME", "answer": 7}, "answer"),
        ({"type": "ASK_NAME"}, "answer"),
    ):
        refused = await client.post(url, json=wrong)
        assert (refused.status_code, refused.json()["details"][0]["path"]) == (422, path)
    assert [one["taskId"] for one in (await client.get("/questions")).json()["items"]] == [line["taskId"]]

    assert (await client.post(url, json={"type": "ASK_NAME", "answer": "A. User"})).json() == {
        "taskId": line["taskId"]
    }
    assert (await client.post(url, json={"type": "ASK_NAME", "answer": "B. User"})).status_code == 409
    await go_on(engine)
    answered = await output_of(engine, line["taskId"])
    assert isinstance(answered, dict)
    assert answered["answer"] == "A. User"
    assert await status_of(engine, UUID(run_id)) == "succeeded"


async def test_looking_at_a_link_decides_nothing(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, APPROVAL)
    url = await link_of(client, f"{run_id}-0", "approve", by="ada@example.com")

    for _ in range(3):
        page = await client.get(url)
        assert page.status_code == 200
        assert "Pay 9 &amp; &lt;b&gt;go&lt;/b&gt;?" in page.text
        assert '<form method="post">' in page.text
        assert page.headers["cache-control"] == "no-store"
        assert "form-action 'self'" in page.headers["content-security-policy"]
    assert (await client.head(url)).status_code == 405
    assert len((await client.get("/approvals")).json()["items"]) == 1

    assert page.headers["referrer-policy"] == "same-origin"
    strange = await client.post(url, headers={"Origin": "https://evil.example"})
    assert strange.status_code == 403
    assert (await client.post(url, headers={"Origin": "http://localhost:3000"})).status_code == 200
    assert (await client.get(f"/approvals/{run_id}-0/links")).status_code == 409
    for late in (await client.get(url), await client.post(url)):
        assert late.status_code == 410
    await go_on(engine)
    decided = await output_of(engine, f"{run_id}-0")
    assert isinstance(decided, dict)
    assert (decided["decision"], decided["by"]) == ("approve", "ada@example.com")


async def test_one_of_many_uses_of_links_decides(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, APPROVAL)
    urls = [await link_of(client, f"{run_id}-0", option) for option in ("approve", "reject")]

    answers = await asyncio.gather(*(client.post(url) for url in urls * 20))

    assert Counter(one.status_code for one in answers) == {200: 1, 410: 39}
    [won] = [one for one in answers if one.status_code == 200]
    await go_on(engine)
    decided = await output_of(engine, f"{run_id}-0")
    assert isinstance(decided, dict)
    assert str(won.url) == urls[("approve", "reject").index(str(decided["decision"]))]


async def test_a_link_ends_with_its_waiting(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, APPROVAL)
    url = await link_of(client, f"{run_id}-0", "approve")

    await end_waits(engine.db)
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, UUID(run_id)) == "failed"
    assert (await client.post(url)).status_code == 410

    await drain(engine, await retry_run(engine, UUID(run_id)))
    assert len((await client.get("/approvals")).json()["items"]) == 1
    assert (await client.post(url)).status_code == 410, "it was made for another waiting"
    assert (await client.post(await link_of(client, f"{run_id}-0", "approve"))).status_code == 200


async def test_a_forged_link_is_none(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, APPROVAL)
    url = await link_of(client, f"{run_id}-0", "approve")
    head, _, token = url.rpartition("/")

    changed = token[:50] + ("A" if token[50] != "A" else "B") + token[51:]
    for forged in (changed, token[:-4], "x", "%F0%9F%92%A9", token + "AAAA"):
        assert (await client.post(f"{head}/{forged}")).status_code == 410
    assert len((await client.get("/approvals")).json()["items"]) == 1


async def test_a_link_asks_for_the_form(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await asking(client, engine, workflow([WITH_FORM], []))
    url = await link_of(client, f"{run_id}-0", "approve")

    page = (await client.get(url)).text
    assert "How &lt;much&gt;?" in page
    assert 'type="number"' in page
    refused = await client.post(url, data={"sum": "", "rush": "true"})
    assert (refused.status_code, '<p class="wrong">sum: ' in refused.text) == (422, True)
    assert (await client.post(url, data={"sum": "12", "rush": "true"})).status_code == 200
    await go_on(engine)
    decided = await output_of(engine, f"{run_id}-0")
    assert isinstance(decided, dict)
    assert decided["data"] == {"sum": 12, "rush": True}


async def test_a_link_needs_no_key_but_making_one_does(
    database_url: str, redis_url: str, engine: Engine
) -> None:
    settings = settings_for(
        database_url,
        redis_url,
        HEADRACE_API_KEYS="viewer:look,operator:drive",
        HEADRACE_SECRET_KEY=f"{NEW},{OLD}",
    )
    look, drive = {"X-API-Key": "look"}, {"X-API-Key": "drive"}
    async with serving(settings_for(database_url, redis_url, HEADRACE_SECRET_KEY=OLD)) as client:
        run_id = await asking(client, engine, APPROVAL)
        old = await link_of(client, f"{run_id}-0", "approve")
    async with serving(settings) as client:
        links = f"/approvals/{run_id}-0/links"
        assert (await client.get(links)).status_code == 401
        assert (await client.get(links, headers=look)).status_code == 403
        assert (await client.get("/approvals", headers=look)).status_code == 200
        decision = {"decision": "approve"}
        assert (await client.post(f"/approvals/{run_id}-0", json=decision, headers=look)).status_code == 403
        assert (await client.post(f"/runs/{run_id}/signals/x", headers=look)).status_code == 403
        assert (await client.post(f"/runs/{run_id}/signals/x", headers=drive)).status_code == 200
        new = (await client.get(links, headers=drive)).json()["links"][0]["url"]
        assert new != old
        assert (await client.get(new)).status_code == (await client.get(old)).status_code == 200
        assert (await client.post(old)).status_code == 200, "an older key is still believed"
