"""What operators do to runs over HTTP: pause, resume, retry, rerun, debug, bulk."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from headrace.engine.program import Engine
from headrace.engine.sweep import wake_due
from headrace.graph.json_types import JsonObject
from headrace.store import recovery
from support.api import finish, finished_run, saved, started
from support.build import edge, node, workflow
from support.drive import drain

pytestmark = pytest.mark.anyio


async def go_on(engine: Engine) -> None:
    """Delivers all that is queued, until nothing is."""
    async with engine.db.transaction() as tx:
        queued = await recovery.overdue(tx, 0.0, 100)
    await drain(engine, [one.dispatch() for one in queued])


CHAIN = workflow([node("a"), node("b"), node("c")], [edge("a", "b"), edge("b", "c")])
BAD = workflow(
    [node("a"), node("bad", "switch", config={"cases": [{"id": "x", "when": False}]}), node("b")],
    [edge("a", "bad"), edge("bad", "b")],
)
STOPS = workflow([node("a"), node("end", "terminate", config={"reason": "enough"})], [edge("a", "end")])


async def status(client: httpx.AsyncClient, run_id: str) -> JsonObject:
    seen: JsonObject = (await client.get(f"/runs/{run_id}")).json()
    return seen


async def statuses(client: httpx.AsyncClient, run_id: str) -> dict[str, str]:
    return {task["nodeId"]: task["status"] for task in (await status(client, run_id))["tasks"]}  # type: ignore[union-attr, index, call-overload, misc]


async def test_pause_and_resume(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, CHAIN)
    run_id = await started(client, workflow_id)
    paused = await client.post(f"/workflows/{workflow_id}/runs/{run_id}/pause")
    assert (paused.status_code, paused.json()) == (200, {"runId": run_id, "status": "paused"})
    assert (await client.post(f"/runs/{run_id}/pause")).status_code == 409
    seen = await status(client, run_id)
    assert seen["status"] == "paused"
    assert seen["tasks"][0]["waitsFor"] == "resume"  # type: ignore[index, call-overload]
    resumed = await client.post(f"/workflows/runs/{run_id}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "running")
    assert (await client.post(f"/runs/{run_id}/resume")).status_code == 409
    await drain(engine, await wake_due(engine))
    assert (await status(client, run_id))["status"] == "succeeded"


async def test_a_run_of_another_workflow_is_not_found(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, CHAIN)
    run_id = await started(client, workflow_id)
    for action in ("pause", "resume", "retry", "rerun", "step"):
        assert (await client.post(f"/workflows/{uuid4()}/runs/{run_id}/{action}")).status_code == 404
        assert (await client.post(f"/runs/{uuid4()}/{action}")).status_code == 404


async def test_a_rerun_uses_results_again_and_takes_another_input(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    _, run_id = await finished_run(client, engine, CHAIN)
    again = await client.post(f"/runs/{run_id}/rerun", json={"from": ["c"]})
    assert again.status_code == 201
    assert again.json()["reused"] == ["a", "b"]
    await go_on(engine)
    seen = await status(client, again.json()["runId"])
    assert (seen["status"], seen["origin"]) == ("succeeded", {"rerunOf": run_id, "from": ["c"]})
    assert (await status(client, run_id))["origin"] is None
    edited = await client.post(f"/runs/{run_id}/rerun", json={"input": {"n": 2}})
    assert (await status(client, edited.json()["runId"]))["input"] == {"n": 2}
    refused = await client.post(f"/runs/{run_id}/rerun", json={"from": ["nobody"]})
    assert refused.status_code == 422
    assert refused.json()["details"][0]["path"] == "from"


async def test_a_retry_of_what_did_not_fail_is_refused(client: httpx.AsyncClient, engine: Engine) -> None:
    _, run_id = await finished_run(client, engine, CHAIN)
    refused = await client.post(f"/runs/{run_id}/retry")
    assert (refused.status_code, refused.json()["statusCode"]) == (409, 409)
    _, ended = await finished_run(client, engine, STOPS)
    assert (await client.post(f"/runs/{ended}/retry")).status_code == 409


async def test_breakpoints_and_steps(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, CHAIN)
    begun = await client.post(f"/workflows/{workflow_id}/execute-async", json={"breakpoints": ["b"]})
    run_id = begun.json()["runId"]
    await finish(engine, run_id)
    seen = await statuses(client, run_id)
    assert seen == {"a": "completed", "b": "waiting", "c": "pending"}
    where = (await client.get(f"/runs/{run_id}/debug")).json()
    assert [one["nodeId"] for one in where["stopped"]] == ["b"]
    assert (await client.post(f"/runs/{run_id}/step", json={"nodes": ["a"]})).status_code == 409
    set_again = await client.put(f"/runs/{run_id}/debug", json={"steps": True})
    assert set_again.status_code == 200
    assert (await client.post(f"/runs/{run_id}/step")).json() == {"stopped": []}
    await go_on(engine)
    assert await statuses(client, run_id) == {"a": "completed", "b": "completed", "c": "waiting"}
    await client.put(f"/runs/{run_id}/debug", json={})
    await client.post(f"/runs/{run_id}/step", json={"nodes": ["c"]})
    await go_on(engine)
    assert (await status(client, run_id))["status"] == "succeeded"
    assert (await client.post(f"/runs/{run_id}/step")).status_code == 409
    bad = await client.post(f"/workflows/{workflow_id}/execute-async", json={"breakpoints": ["nobody"]})
    assert (bad.status_code, bad.json()["details"][0]["path"]) == (422, "breakpoints")


async def test_breakpoints_in_bodies_and_a_child_that_is_not_retried_by_itself(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    body = node("bad", "switch", config={"cases": [{"id": "x", "when": False}]})
    document = workflow([node("map", "map", config={"items": [1], "body": body})], [])
    workflow_id = await saved(client, document)
    begun = await client.post(f"/workflows/{workflow_id}/trigger", json={"breakpoints": ["map/bad"]})
    run_id = begun.json()["runId"]
    await finish(engine, run_id)
    (stopped,) = (await client.get(f"/runs/{run_id}/debug")).json()["stopped"]
    assert (stopped["nodeId"], stopped["path"]) == ("bad", "map[0]/bad")
    wrong = await client.put(f"/runs/{run_id}/debug", json={"breakpoints": ["map/good"]})
    assert (wrong.status_code, wrong.json()["details"][0]["message"]) == (
        422,
        "there is no node 'good' in 'map'",
    )
    await client.post(f"/runs/{run_id}/step", json={"nodes": ["map/bad"]})
    await go_on(engine)
    seen = await status(client, run_id)
    assert seen["status"] == "failed"
    child = seen["tasks"][0]["childRuns"][0]["runId"]  # type: ignore[index, call-overload]
    refused = await client.post(f"/runs/{child}/retry")
    assert refused.status_code == 409
    assert refused.json()["message"].endswith(f"retry run {run_id}")


async def test_mocked_nodes_answer_without_running(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, CHAIN)
    mocks: JsonObject = {"a": {"output": {"from": "mock"}}, "b": {"error": {"type": "Down", "message": "no"}}}
    begun = await client.post(f"/workflows/{workflow_id}/execute-async", json={"mocks": mocks})
    run_id = begun.json()["runId"]
    await finish(engine, run_id)
    tasks = {task["nodeId"]: task for task in (await status(client, run_id))["tasks"]}  # type: ignore[union-attr, index, call-overload, misc]
    assert tasks["a"]["output"] == {"from": "mock"}
    assert (tasks["b"]["status"], tasks["b"]["errorDetails"]["type"]) == ("failed", "Down")
    bad = await client.post(f"/workflows/{workflow_id}/execute-async", json={"mocks": {"nobody": 1}})
    assert bad.status_code == 422


async def test_one_node_runs_alone_with_an_input_of_its_own(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    workflow_id = await saved(client, CHAIN)
    begun = await client.post(
        f"/workflows/{workflow_id}/execute-async", json={"node": "b", "input": {"pinned": True}}
    )
    run_id = begun.json()["runId"]
    await finish(engine, run_id)
    seen = await status(client, run_id)
    assert seen["status"] == "succeeded"
    (task,) = seen["tasks"]  # type: ignore[misc]
    assert (task["nodeId"], task["input"]) == ("b", {"pinned": True})  # type: ignore[index, call-overload]
    unknown = await client.post(f"/workflows/{workflow_id}/execute-async", json={"node": "nobody"})
    assert unknown.status_code == 404


async def test_an_older_version_and_a_priority(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, CHAIN)
    await client.put(f"/workflows/{workflow_id}", json=workflow([node("other")], []))
    body = {"version": 1, "priority": "CRITICAL"}
    begun = await client.post(f"/workflows/{workflow_id}/execute-async", json=body)
    seen = await status(client, begun.json()["runId"])
    assert (seen["version"], seen["priority"]) == (1, "CRITICAL")
    await client.post(f"/workflows/{workflow_id}/versions/1/activate")
    newer = await client.post(f"/workflows/{workflow_id}/execute-async", json={"version": 2})
    assert (await status(client, newer.json()["runId"]))["version"] == 2
    for bad, code in (({"version": 7}, 404), ({"priority": "urgent"}, 422)):
        assert (await client.post(f"/workflows/{workflow_id}/execute-async", json=bad)).status_code == code


async def test_many_at_once(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id = await saved(client, CHAIN)
    running = [await started(client, workflow_id) for _ in range(3)]
    _, other = await finished_run(client, engine, CHAIN)
    wanted = {"action": "cancel", "workflowId": workflow_id}
    found = (await client.post("/runs/bulk", json={**wanted, "dryRun": True})).json()
    assert (found["matched"], found["done"]) == (running, [])
    done = (await client.post("/runs/bulk", json=wanted)).json()
    assert (done["matched"], done["done"], done["refused"]) == (running, running, [])
    again = (await client.post("/runs/bulk", json={"action": "cancel"})).json()
    assert [one["runId"] for one in again["refused"]] == [*running, other]
    retried = (await client.post("/runs/bulk", json={"action": "retry", "status": "cancelled"})).json()
    assert retried["done"] == running
    reran = (await client.post("/runs/bulk", json={"action": "rerun", "status": "succeeded"})).json()
    assert (reran["done"], len(reran["created"])) == ([other], 1)
    late = {"action": "rerun", "startedAfter": "2999-01-01T00:00:00Z"}
    assert (await client.post("/runs/bulk", json=late)).json()["matched"] == []
    assert (await client.post("/runs/bulk", json={"action": "explode"})).status_code == 422


async def test_failed_runs_are_listed_and_retried_together(client: httpx.AsyncClient, engine: Engine) -> None:
    _, run_id = await finished_run(client, engine, BAD)
    await finished_run(client, engine, CHAIN)
    failed = (await client.get("/runs", params={"status": "failed"})).json()["items"]
    assert [one["id"] for one in failed] == [run_id]
    done = (await client.post("/runs/bulk", json={"action": "retry", "status": "failed"})).json()["done"]
    assert (done, (await status(client, run_id))["status"]) == ([run_id], "running")
    await go_on(engine)
    seen = await status(client, run_id)
    assert (seen["status"], seen["tasks"][1]["attempt"]) == ("failed", 2)  # type: ignore[index, call-overload]


async def test_ended_runs_are_deleted(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id, run_id = await finished_run(client, engine, CHAIN)
    assert (await client.delete(f"/workflows/{uuid4()}/runs/{run_id}")).status_code == 404
    going_on = await started(client, workflow_id)
    refused = await client.delete(f"/workflows/{workflow_id}/runs/{going_on}")
    assert (refused.status_code, refused.json()["message"]) == (
        409,
        "The run has not ended, it is running: cancel it first",
    )
    gone = await client.delete(f"/workflows/{workflow_id}/runs/{run_id}")
    assert (gone.status_code, gone.json()) == (200, {"deleted": True})
    for path in (f"/runs/{run_id}", f"/runs/{run_id}/logs", f"/runs/{run_id}/events"):
        assert (await client.get(path)).status_code == 404
    assert (await client.delete(f"/runs/{run_id}")).status_code == 404
    listed = (await client.get(f"/workflows/{workflow_id}/runs")).json()
    assert [one["id"] for one in listed] == [going_on]


async def test_many_are_deleted_by_the_same_search(client: httpx.AsyncClient, engine: Engine) -> None:
    workflow_id, failed = await finished_run(client, engine, BAD)
    going_on = await started(client, workflow_id)
    _, other = await finished_run(client, engine, CHAIN)
    wanted = {"status": "failed", "workflowId": workflow_id}
    found = (await client.post("/runs/delete", json={**wanted, "dryRun": True})).json()
    assert (found["matched"], found["done"]) == ([failed], [])
    done = (await client.post("/runs/delete", json=wanted)).json()
    assert done == {"matched": [failed], "done": [failed], "refused": [], "created": []}
    rest = (await client.post("/runs/delete", json={"limit": 5})).json()
    assert (rest["matched"], rest["done"]) == ([going_on, other], [other])
    assert [one["runId"] for one in rest["refused"]] == [going_on]
    assert (await client.post("/runs/bulk", json={"action": "delete"})).status_code == 422  # for operators


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
async def test_a_search_by_a_time_that_is_none_is_refused(client: httpx.AsyncClient, moment: str) -> None:
    for name in ("startedAfter", "startedBefore"):
        answer = await client.post("/runs/bulk", json={"action": "cancel", name: moment})
        assert answer.status_code == 422
        assert answer.json()["details"] == [
            {"path": name, "message": "must lie in the years 1 to 9999, in UTC"}
        ]


async def test_a_search_by_the_last_moment_of_all(client: httpx.AsyncClient, engine: Engine) -> None:
    _, run_id = await finished_run(client, engine, CHAIN)
    wanted = {"action": "cancel", "dryRun": True, "startedBefore": "9999-12-31T23:59:59"}
    assert (await client.post("/runs/bulk", json=wanted)).json()["matched"] == [run_id]
