"""Each reason why a task does not run, as the API tells it: the root, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID, uuid4

import httpx
import pytest

from headrace.engine.control import pause_run
from headrace.engine.execute import claim, perform
from headrace.engine.program import Engine
from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.graph.settings import Priority
from headrace.queues.names import TASK_QUEUES, task_queue
from headrace.store import workers
from headrace.store.claims import Delivery
from headrace.store.workers import NewWorker
from headrace.testing import FakeHttp, Reply, process
from support.api import finish, saved, started
from support.build import chain, edge, if_else, node, workflow
from support.drive import NoHttp
from support.family import a_map, call
from support.rows import sql

pytestmark = pytest.mark.anyio

AT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
SIGNAL = node("ask", "waitSignal", config={"name": "go", "timeout": "1h"})
HOLD = node("hold", "delay", config={"duration": 1, "unit": "hours"})
FAILS = node("x", "setVariable", config={"name": "v", "value": "${nowhere}"})
WHY = "MissingReference: 'nowhere' does not exist."


async def text_of(client: httpx.AsyncClient, run_id: str | UUID, node_id: str) -> str:
    """What the API says of a node, with all times as AT."""
    (task,) = (await explained(client, run_id, node_id))["tasks"]
    return re.sub(AT, "AT", str(task["text"]))


async def explained(client: httpx.AsyncClient, run_id: str | UUID, node_id: str | None = None) -> JsonObject:
    answer = await client.get(f"/runs/{run_id}/explain", params={"node": node_id} if node_id else {})
    assert answer.status_code == 200, answer.text
    found: JsonObject = answer.json()
    return found


async def driven(client: httpx.AsyncClient, engine: Engine, document: JsonObject, roots: int = 1) -> str:
    """A run that has come as far as it comes by itself."""
    run_id = await started(client, await saved(client, document), {"items": [1, 2], "amount": 1})
    await finish(engine, run_id, roots)
    return run_id


async def begin(engine: Engine, run_id: str, position: int = 0) -> None:
    """What a worker does that then hangs: it takes a task and passes its limits."""
    (execution,) = await claim(engine, [Delivery(TaskId(UUID(run_id), position), 1, 1)], uuid4())
    await perform(execution, NoHttp())


async def employ(engine: Engine, queues: Sequence[str] = TASK_QUEUES) -> None:
    async with engine.db.transaction() as tx:
        await workers.register(tx, NewWorker(uuid4(), "w", "here", 1, queues, 4))


async def children_of(engine: Engine, run_id: str) -> list[UUID]:
    rows = await sql(
        engine.db,
        "SELECT id FROM workflow_runs WHERE parent_run_id = $1 ORDER BY parent_position, child_index",
        UUID(run_id),
    )
    return [row.id for row in rows]


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (HOLD, "waits until AT"),
        (SIGNAL, "waits for signal go until AT"),
        (
            node("n", "approval", config={"message": "Pay {{amount}}?", "timeout": "1h"}),
            'waits for an approval "Pay 1?" until AT',
        ),
        (
            node("n", "question", config={"question": "Who?", "actor": "Ada", "timeout": "1h"}),
            'waits for an answer of Ada to its question "Who?" until AT',
        ),
        (
            node("n", "waitUntil", config={"condition": {"var": "input.no"}, "every": "1m", "timeout": "1h"}),
            "looks at its condition again at AT",
        ),
    ],
)
async def test_a_wait_of_its_own(
    client: httpx.AsyncClient, engine: Engine, waiting: JsonObject, said: str
) -> None:
    name = str(waiting["id"])
    run_id = await driven(client, engine, workflow([waiting, node("after")], [edge(name, "after")]))
    assert await text_of(client, run_id, name) == said
    assert await text_of(client, run_id, "after") == f"waits for node {name}, which {said}"


async def test_a_retry(client: httpx.AsyncClient, engine: Engine) -> None:
    url = "http://nobody.example/"
    slow: JsonObject = {"initial": 60, "jitter": False}
    call_it = node("n", "apiCall", config={"url": url, "failOnError": True}, retry=slow)
    run_id = await started(client, await saved(client, workflow([call_it], [])))
    job = RunTask(TaskId(UUID(run_id), 0), 1, 1, "n", 300)
    await process.deliver(engine, job, FakeHttp({f"GET {url}": Reply(503)}))
    said = await text_of(client, run_id, "n")
    assert said.startswith("waits for attempt 2 after HttpError: ")
    assert said.endswith(" until AT")


@pytest.mark.parametrize("priority", list(Priority))
async def test_no_worker_listens_on_its_queue(
    client: httpx.AsyncClient, engine: Engine, priority: Priority
) -> None:
    queue = task_queue(priority)
    await employ(engine, [name for name in TASK_QUEUES if name != queue])
    run_id = await started(client, await saved(client, chain(1) | {"priority": priority.name}))
    said = f"has been queued since AT: no worker listens on {queue}"
    assert await text_of(client, run_id, "n0") == said


async def test_jobs_before_it_in_its_queue(client: httpx.AsyncClient, engine: Engine) -> None:
    await employ(engine)
    low = await saved(client, chain(1) | {"priority": "LOW"})
    await started(client, await saved(client, chain(1)))
    for _ in range(3):
        run_id = await started(client, low)
    assert await text_of(client, run_id, "n0") == (
        "has been queued since AT: "
        "up to 2 jobs are ahead in workflow-tasks-low, and 1 of higher priority goes first"
    )


async def test_its_parents(client: httpx.AsyncClient, engine: Engine) -> None:
    nodes = [node("a"), node("b"), node("c")]
    run_id = await started(client, await saved(client, workflow(nodes, [edge("a", "c"), edge("b", "c")])))
    await begin(engine, run_id)
    assert await text_of(client, run_id, "c") == (
        "waits for node a, which has run since AT (attempt 1); waits for node b, "
        "which has been queued since AT: no worker listens on workflow-tasks"
    )


async def test_a_key(client: httpx.AsyncClient, engine: Engine) -> None:
    printer: JsonObject = {"concurrency": {"limit": 1, "key": "printer"}}
    workflow_id = await saved(client, workflow([node("print", **printer)], []))
    first, second = await started(client, workflow_id), await started(client, workflow_id)
    await begin(engine, first)
    await finish(engine, second)
    said = f"waits for key printer, held by run {first} (node print) since AT"
    assert await text_of(client, second, "print") == said


async def test_a_rate(client: httpx.AsyncClient, engine: Engine) -> None:
    mail: JsonObject = {"rate": {"count": 1, "per": "1h", "key": "mail"}}
    run_id = await driven(client, engine, workflow([node("a", **mail), node("b", **mail)], []), roots=2)
    assert await text_of(client, run_id, "b") == "waits for the rate limit mail until AT"


async def test_a_breakpoint(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await started(client, await saved(client, chain(2)))
    assert (await client.put(f"/runs/{run_id}/debug", json={"breakpoints": ["n1"]})).status_code == 200
    await finish(engine, run_id)
    assert await text_of(client, run_id, "n1") == "stands at the breakpoint before node n1"


async def test_a_pause(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await started(client, await saved(client, chain(2)))
    await pause_run(engine, UUID(run_id), "night")
    assert await text_of(client, run_id, "n0") == "is held by the pause of its run"
    assert await text_of(client, run_id, "n1") == "waits for node n0, which is held by the pause of its run"
    assert re.sub(AT, "AT", str((await explained(client, run_id))["text"])) == (
        "is paused (night) since AT; waits for node n0, which is held by the pause of its run"
    )


async def test_a_run_behind_its_key(client: httpx.AsyncClient) -> None:
    workflow_id = await saved(client, workflow([HOLD], [], concurrency={"limit": 1, "key": "{{amount}}"}))
    first, _, third = [await started(client, workflow_id, {"amount": 7}) for _ in range(3)]
    found = await explained(client, third, "hold")
    assert (found["status"], found["tasks"]) == ("queued", [])
    assert re.sub(AT, "AT", str(found["text"])) == (
        f"waits for key {workflow_id}/7, held by run {first} since AT, and 1 come first"
    )


async def test_its_children(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await driven(client, engine, workflow([a_map("map", HOLD, maxConcurrency=1)], []))
    first, second = await children_of(engine, run_id)
    counted = "waits for its children (0 of 2 have ended, at most 1 at once)"
    said = f"{counted}: child 0 (run {first}) waits for node hold, which waits until AT"
    assert await text_of(client, run_id, "map") == said
    waiting = (await explained(client, second))["text"]
    assert waiting == "waits for its turn among the children of its parent"


async def test_a_sub_workflow_that_waits(client: httpx.AsyncClient, engine: Engine) -> None:
    await saved(client, workflow([SIGNAL], [], name="low"))
    await saved(client, workflow([call("mid", "low")], [], name="middle"))
    document = workflow([call("top", "middle"), node("after")], [edge("top", "after")])
    run_id = await driven(client, engine, document)
    (middle,) = await children_of(engine, run_id)
    (low,) = await children_of(engine, str(middle))
    said = (
        f"waits for its sub-workflow: run {middle} waits for node mid, which "
        f"waits for its sub-workflow: run {low} waits for node ask, which waits for signal go until AT"
    )
    assert await text_of(client, run_id, "top") == said
    assert await text_of(client, run_id, "after") == f"waits for node top, which {said}"


async def test_a_sub_workflow_that_failed(client: httpx.AsyncClient, engine: Engine) -> None:
    await saved(client, workflow([FAILS], [], name="low"))
    await saved(client, workflow([a_map("each", call("mid", "low"))], [], name="middle"))
    document = workflow([call("top", "middle"), node("after")], [edge("top", "after")])
    run_id = await driven(client, engine, document)
    (middle,) = await children_of(engine, run_id)
    item = (await children_of(engine, str(middle)))[0]
    (low,) = await children_of(engine, str(item))
    said = (
        f"failed: run {middle} failed because of node each, which failed: child 0 (run {item}) failed "
        f"because of node mid, which failed: run {low} failed because of node x, which failed: {WHY}"
    )
    assert await text_of(client, run_id, "top") == said
    after = await text_of(client, run_id, "after")
    assert after == f"does not run (join 'all' was not met) because of node top, which {said}"
    assert (await explained(client, run_id))["text"] == f"failed because of node top, which {said}"


async def test_what_was_skipped(client: httpx.AsyncClient, engine: Engine) -> None:
    document = workflow([if_else("if", "amount", 5), node("n")], [edge("if", "n", "out-true")])
    run_id = await driven(client, engine, document)
    said = "was skipped (join 'all' was not met) because of node if, which completed"
    assert await text_of(client, run_id, "n") == said


async def test_what_failed_upstream(client: httpx.AsyncClient, engine: Engine) -> None:
    document = workflow([FAILS, node("b"), node("c")], [edge("x", "b"), edge("b", "c")])
    run_id = await driven(client, engine, document)
    not_met = "does not run (join 'all' was not met) because of node"
    assert await text_of(client, run_id, "c") == f"{not_met} b, which {not_met} x, which failed: {WHY}"


async def test_what_was_cancelled(client: httpx.AsyncClient) -> None:
    run_id = await started(client, await saved(client, chain(2)))
    assert (await client.post(f"/runs/{run_id}/cancel")).status_code == 201
    assert await text_of(client, run_id, "n1") == "was cancelled: the run was cancelled"


async def test_what_runs_and_what_has_completed(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await started(client, await saved(client, workflow([node("a"), node("b")], [])))
    await begin(engine, run_id)
    assert await text_of(client, run_id, "a") == "has run since AT (attempt 1)"
    other = await driven(client, engine, chain(1))
    assert await text_of(client, other, "n0") == "completed"
