"""Stored activities: versions by content, pins of runs, what is kept and what is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

import pytest

from headrace.engine import activities, activity_reading, reading
from headrace.engine.activities import Upload, Uploaded, upload
from headrace.engine.activity_reading import set_trusted
from headrace.engine.again import Rerun, rerun, retry_run
from headrace.engine.control import cancel_run
from headrace.engine.lacking import declare
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow, update_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.errors import InvalidDefinition, InvalidInput, NotFound, TooLarge, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.lanes import Language
from headrace.sandbox.checked import Checked
from headrace.sandbox.lane import check_source
from headrace.store import workers
from headrace.store.workers import NewWorker
from headrace.testing import FakeHttp, process
from headrace_worker.lanes import WorkerLanes
from support.api import settings_for
from support.drive import status_of, tasks_of
from support.fleet import eventually
from support.rows import sql

pytestmark = pytest.mark.anyio


DECLARED: JsonObject = {
    "name": "mine",
    "description": "Of a worker.",
    "origin": "project",
    "source": "tasks",
    "inputSchema": {"type": "object"},
    "outputSchema": None,
    "options": {},
}


async def anything(language: Language, source: str) -> Checked:
    """Takes every source: its function is `run`."""
    return Checked((), ("run",))


def answering(value: object) -> str:
    return f"def run(task_input):\n    return {value!r}\n"


async def put(engine: Engine, source: str, name: str = "greet", activates: bool = True) -> Uploaded:
    return await upload(engine, Upload(name, "python", source, activates=activates), anything)


def using(*names: str, name: str = "uses") -> JsonObject:
    """A workflow whose nodes `a`, `b` ... run these activities one after the other."""
    ids = "abcdefgh"[: len(names)]
    nodes: list[JsonValue] = [
        {"id": id, "type": kind, "config": {}} for id, kind in zip(ids, names, strict=True)
    ]
    edges: list[JsonValue] = [{"source": x, "target": y} for x, y in itertools.pairwise(ids)]
    return {"name": name, "nodes": nodes, "edges": edges}


@pytest.fixture
async def lanes() -> AsyncIterator[WorkerLanes]:
    one = WorkerLanes.of(settings_for("", "", HEADRACE_ISOLATED_PROCESSES=2))
    yield one
    await one.close()


async def drain(engine: Engine, dispatches: Sequence[Dispatch], lanes: WorkerLanes) -> None:
    waiting = list(dispatches)
    while waiting:
        waiting += await process.deliver(engine, waiting.pop(0), FakeHttp(), lanes)


async def pins_of(engine: Engine, run_id: UUID) -> str:
    (row,) = await sql(engine.db, "SELECT pins::text AS pins FROM workflow_runs WHERE id = $1", run_id)
    return str(row.pins)


async def output(engine: Engine, run_id: UUID, node: str = "a") -> JsonValue:
    found: JsonValue = (await tasks_of(engine, run_id))[node].output
    return found


async def test_the_same_content_is_one_version(engine: Engine) -> None:
    first = await put(engine, answering(1))
    again = await put(engine, answering(1))
    other = await put(engine, answering(2))
    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert first.hash == again.hash != other.hash
    known = await activity_reading.versions(engine, "greet")
    assert [(one.hash, one.is_active) for one in known] == [(other.hash, True), (first.hash, False)]


async def test_a_run_keeps_the_version_it_started_with(engine: Engine, lanes: WorkerLanes) -> None:
    await set_trusted(engine, trusted=True)
    await put(engine, answering("old"))
    workflow_id = await create_workflow(engine, using("greet", "delay", "greet"))
    before = await start_run(engine, StartRequest(workflow_id))
    await put(engine, answering("new"))
    after = await start_run(engine, StartRequest(workflow_id))
    await drain(engine, [*before.dispatches, *after.dispatches], lanes)
    assert await output(engine, before.run_id) == "old"
    assert await output(engine, after.run_id) == "new"


async def test_a_run_without_stored_activities_has_no_pins(engine: Engine) -> None:
    await put(engine, answering(1))
    workflow_id = await create_workflow(engine, using("noop"))
    started = await start_run(engine, StartRequest(workflow_id))
    assert await pins_of(engine, started.run_id) == "None"


async def test_bodies_and_sub_workflows_use_the_versions_of_their_parent(
    engine: Engine, lanes: WorkerLanes
) -> None:
    await set_trusted(engine, trusted=True)
    await put(engine, answering("old"))
    await put(engine, answering("old other"), name="other")
    await create_workflow(engine, using("greet", "other", name="child"))
    parent: JsonObject = {
        "name": "parent",
        "nodes": [
            {
                "id": "each",
                "type": "map",
                "config": {"items": [1, 2, 3], "body": {"nodes": [{"id": "x", "type": "greet"}]}},
            },
            {"id": "sub", "type": "subWorkflow", "config": {"workflow": "child"}},
        ],
        "edges": [{"source": "each", "target": "sub"}],
    }
    started = await start_run(engine, StartRequest(await create_workflow(engine, parent)))
    await put(engine, answering("new"))
    await put(engine, answering("new other"), name="other")
    await drain(engine, started.dispatches, lanes)
    tasks = await tasks_of(engine, started.run_id)
    assert await status_of(engine, started.run_id) == "succeeded", tasks
    assert tasks["each"].output == {"items": ["old"] * 3} or "new" not in str(tasks["each"].output)
    # What only the child uses is chosen when the child starts.
    assert "new other" in str(tasks["sub"].output)
    rows = await sql(engine.db, "SELECT DISTINCT pins->>'greet' AS hash FROM workflow_runs")
    assert len(rows) == 1


async def test_each_project_runs_its_own(engine: Engine, lanes: WorkerLanes) -> None:
    for project, text in (("default", "ours"), ("shop", "theirs")):
        await set_trusted(engine, True, project)
        await upload(engine, Upload("greet", "python", answering(text), project=project), anything)
    shop = await create_workflow(engine, using("greet", name="in the shop"), project="shop")
    nodes: list[JsonValue] = [
        {"id": "a", "type": "greet"},
        {"id": "b", "type": "subWorkflow", "config": {"workflow": str(shop)}},
    ]
    document: JsonObject = {"name": "ours", "nodes": nodes, "edges": [{"source": "a", "target": "b"}]}
    started = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await drain(engine, started.dispatches, lanes)
    outputs = [await output(engine, started.run_id, node) for node in "ab"]
    assert outputs == ["ours", {"a": "theirs"}] or outputs == ["ours", "theirs"]
    (listed,) = await activity_reading.find(engine, "shop")
    assert listed.used_by == ("in the shop",)
    await upload(engine, Upload("lone", "python", answering(1), project="shop"), anything)
    with pytest.raises(InvalidDefinition):
        await create_workflow(engine, using("lone"))
    await create_workflow(engine, using("lone"), project="shop")


async def test_a_retry_keeps_the_version_and_a_rerun_takes_the_active_one(
    engine: Engine, lanes: WorkerLanes
) -> None:
    await set_trusted(engine, trusted=True)
    await put(engine, "def run(task_input):\n    raise ValueError('broken')\n")
    document = using("greet")
    document["nodes"] = [{"id": "a", "type": "greet", "retry": {"maxAttempts": 1}}]
    started = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await drain(engine, started.dispatches, lanes)
    assert await status_of(engine, started.run_id) == "failed"
    await put(engine, answering("mended"))
    await drain(engine, await retry_run(engine, started.run_id), lanes)
    assert await status_of(engine, started.run_id) == "failed"
    new = await rerun(engine, Rerun(started.run_id))
    await drain(engine, new.dispatches, lanes)
    assert await output(engine, new.run_id) == "mended"


async def test_a_retry_is_refused_when_its_version_is_gone(engine: Engine, lanes: WorkerLanes) -> None:
    await set_trusted(engine, trusted=True)
    await put(engine, answering(0))
    started = await start_run(engine, StartRequest(await create_workflow(engine, using("greet"))))
    await drain(engine, await cancel_run(engine, started.run_id), lanes)
    for number in range(1, activities.KEPT + 1):
        await put(engine, answering(number))
    with pytest.raises(WrongState, match="version of greet is not kept any more"):
        await retry_run(engine, started.run_id)


async def test_ten_versions_are_kept_and_those_in_use_beside_them(engine: Engine) -> None:
    pinned = await put(engine, answering("pinned"))
    workflow_id = await create_workflow(engine, using("greet"))
    started = await start_run(engine, StartRequest(workflow_id))
    active = await put(engine, answering("active"))
    for number in range(20):
        await put(engine, answering(number), activates=False)
    kept = [one.hash for one in await activity_reading.versions(engine, "greet")]
    assert len(kept) == activities.KEPT + 2
    assert {pinned.hash, active.hash} < set(kept)
    await cancel_run(engine, started.run_id)
    await put(engine, answering("one more"), activates=False)
    kept = [one.hash for one in await activity_reading.versions(engine, "greet")]
    assert len(kept) == activities.KEPT + 1
    assert pinned.hash not in kept


async def test_rolling_back_and_back_again(engine: Engine) -> None:
    hashes = [(await put(engine, answering(number))).hash for number in range(3)]
    assert await activities.roll_back(engine, "greet") == hashes[1]
    assert await activities.roll_back(engine, "greet") == hashes[2]
    assert (await activities.activate(engine, "greet", hashes[0][:8])).hash == hashes[0]
    assert (await activity_reading.read(engine, "greet")).source == answering(0)
    assert await activities.roll_back(engine, "greet") == hashes[2]


async def test_what_was_never_active_is_not_rolled_back_to(engine: Engine) -> None:
    await put(engine, answering(1), activates=False)
    await put(engine, answering(2))
    with pytest.raises(WrongState, match="no other active version"):
        await activities.roll_back(engine, "greet")


async def test_a_hash_must_name_one_version(engine: Engine) -> None:
    done = await put(engine, answering(1))
    for hash in (done.hash[:7], "0" * 64, ""):
        with pytest.raises(NotFound, match="has no version"):
            await activities.activate(engine, "greet", hash)
    with pytest.raises(NotFound, match="no activity 'nobody'"):
        await activities.activate(engine, "nobody", done.hash)


async def test_uploads_at_the_same_time_leave_one_row_each(engine: Engine) -> None:
    sources = [answering(number % 4) for number in range(16)]
    done = await asyncio.gather(*(put(engine, source) for source in sources))
    assert sum(one.is_new for one in done) == 4
    known = await activity_reading.versions(engine, "greet")
    assert len(known) == 4
    assert sum(one.is_active for one in known) == 1


async def test_starts_and_uploads_at_the_same_time_never_pin_what_is_deleted(engine: Engine) -> None:
    await put(engine, answering("first"))
    workflow_id = await create_workflow(engine, using("greet"))

    async def edit() -> None:
        for number in range(40):
            await put(engine, answering(number))

    async def run() -> None:
        for _ in range(20):
            await start_run(engine, StartRequest(workflow_id))

    await asyncio.gather(edit(), run(), run(), run())
    lost = await sql(
        engine.db,
        "SELECT r.id FROM workflow_runs r LEFT JOIN activity_versions v ON v.hash = r.pins->>'greet'"
        " WHERE v.hash IS NULL",
    )
    assert lost == []


async def test_starts_and_deletes_at_the_same_time_never_pin_what_is_deleted(engine: Engine) -> None:
    """The workflow's current version uses nothing: only the runs of the old one hold the activity.

    A run may begin without a pin, while the activity is away: it waits for it.
    """
    await put(engine, answering(0))
    workflow_id = await create_workflow(engine, using("greet"))
    await update_workflow(engine, workflow_id, using("noop"))
    lost = (
        "SELECT r.id FROM workflow_runs r LEFT JOIN activity_versions v ON v.hash = r.pins->>'greet'"
        " WHERE r.finished_at IS NULL AND r.pins ? 'greet' AND v.hash IS NULL"
    )

    async def remove(number: int) -> None:
        with suppress(WrongState):  # a run has come first
            await activities.delete(engine, "greet")
        await put(engine, answering(number))

    async def run() -> UUID | None:
        with suppress(InvalidInput):  # it was deleted first
            return (await start_run(engine, StartRequest(workflow_id, version=1))).run_id
        return None

    begun = 0
    for number in range(15):
        results = await asyncio.gather(run(), remove(number), run(), run())
        assert await sql(engine.db, lost) == []
        for run_id in filter(None, results):
            begun += 1
            await cancel_run(engine, run_id)
    assert begun > 0


@pytest.mark.parametrize("name", ["", "1st", "a b", "é", "x" * 65, "../up"])
async def test_names_that_are_none_are_refused(engine: Engine, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be called so"):
        await put(engine, answering(1), name=name)


async def test_names_that_are_taken_are_refused(engine: Engine) -> None:
    with pytest.raises(WrongState, match="Headrace brings"):
        await put(engine, answering(1), name="delay")
    worker = NewWorker(uuid4(), "w", "here", 1, queues=("q",), concurrency=1)
    async with engine.db.transaction() as tx:
        await workers.register(tx, worker)
    await declare(engine, worker.id, "default", {"mine": DECLARED}, [])
    (listed,) = await activity_reading.find(engine)
    assert (listed.name, listed.workers, listed.stored) == ("mine", 1, None)
    with pytest.raises(WrongState, match="a worker brings"):
        await put(engine, answering(1), name="mine")


async def test_sources_that_cannot_be_kept_are_refused(engine: Engine) -> None:
    with pytest.raises(TooLarge):
        await put(engine, "#" * (activities.SOURCE_LIMIT + 1))
    with pytest.raises(InvalidInput) as refused:
        await put(engine, "x = '\0'")
    assert refused.value.problems[0].path == "source"


async def test_a_workflow_may_use_only_what_has_an_active_version(engine: Engine) -> None:
    with pytest.raises(InvalidDefinition, match="not valid"):
        await create_workflow(engine, using("greet"))
    await put(engine, answering(1), activates=False)
    with pytest.raises(InvalidDefinition, match="not valid"):
        await create_workflow(engine, using("greet"))
    await put(engine, answering(1))
    workflow_id = await create_workflow(engine, using("greet"))
    await update_workflow(engine, workflow_id, using("greet", "greet"))


async def test_what_is_in_use_is_deleted_only_by_force(engine: Engine, lanes: WorkerLanes) -> None:
    await set_trusted(engine, trusted=True)
    await put(engine, answering(1))
    workflow_id = await create_workflow(engine, using("greet"))
    with pytest.raises(WrongState, match=r"1 workflow\(s\) use the activity 'greet': 'uses'"):
        await activities.delete(engine, "greet")
    started = await start_run(engine, StartRequest(workflow_id))
    await update_workflow(engine, workflow_id, using("noop"))
    with pytest.raises(WrongState, match=r"1 run\(s\) that go on"):
        await activities.delete(engine, "greet")
    await activities.delete(engine, "greet", is_forced=True)
    await drain(engine, started.dispatches, lanes)
    task = (await tasks_of(engine, started.run_id))["a"]
    assert task.error is not None
    assert "was purged" in str(task.error)
    with pytest.raises(NotFound):
        await activities.delete(engine, "greet")


async def test_a_start_is_refused_when_an_activity_was_deleted(engine: Engine) -> None:
    await put(engine, answering(1))
    workflow_id = await create_workflow(engine, using("greet"))
    await start_run(engine, StartRequest(workflow_id))
    await activities.delete(engine, "greet", is_forced=True)
    with pytest.raises(InvalidInput) as refused:
        await start_run(engine, StartRequest(workflow_id))
    assert "no activity 'greet'" in refused.value.problems[0].message


async def test_uses_are_found_in_bodies_too(engine: Engine) -> None:
    await put(engine, answering(1))
    looped: JsonObject = {"id": "each", "type": "map", "config": {"items": [1], "body": {"type": "greet"}}}
    await create_workflow(engine, {"name": "loops", "nodes": [looped]})
    await create_workflow(engine, using("noop", name="does not"))
    (found,) = await activity_reading.find(engine)
    assert found.used_by == ("loops",)


DATACLASS = """
from __future__ import annotations
from dataclasses import asdict, dataclass
from headrace import worker_task

@dataclass
class Order:
    to: str
    n: int = 1

@worker_task("greet", retries=2)
def run(to: str):
    return asdict(Order(to))
"""
PARAMETERS = "def run(to, subject, body='none', *, urgent=False):\n    return [to, subject, body, urgent]\n"


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "sandboxed"])
@pytest.mark.parametrize(
    ("source", "given", "expected"),
    [
        (PARAMETERS, {"to": "a", "subject": "b"}, ["a", "b", "none", False]),
        (PARAMETERS, {"to": "a", "subject": "b", "urgent": True, "more": 1}, ["a", "b", "none", True]),
        ("def run(task_input):\n    return task_input\n", {"x": 1}, {"x": 1}),
        ("def run(**all):\n    return all\n", {"x": 1}, {"x": 1}),
        ("def run():\n    return 5\n", {"x": 1}, 5),
        ("async def run(x):\n    print('hello')\n    return x + 1\n", {"x": 1}, 2),
        ("def run(value):\n    return value\n", 7, 7),
        (DATACLASS, {"to": "Ada"}, {"to": "Ada", "n": 1}),
    ],
)
async def test_parameters_get_their_values_by_name(
    engine: Engine, lanes: WorkerLanes, source: str, given: JsonValue, expected: JsonValue, trusted: bool
) -> None:
    await set_trusted(engine, trusted)
    await put(engine, source)
    workflow_id = await create_workflow(engine, using("greet"))
    for _ in range(2):  # the second time in the same process
        started = await start_run(engine, StartRequest(workflow_id, given))
        await drain(engine, started.dispatches, lanes)
        task = (await tasks_of(engine, started.run_id))["a"]
        assert task.output == expected, task.error


@pytest.mark.parametrize(
    "source",
    [
        "export async function send({ to, subject }) { return { success: true, messageId: to + subject }; }",
        "exports.send = async ({ to, subject }) => ({ success: true, messageId: to + subject });",
        "module.exports = { send: ({ to, subject }) => ({ success: true, messageId: to + subject }) };",
        "const send = (m) => ({ success: true, messageId: m.to + m.subject });\nexport { send };",
    ],
)
async def test_javascript_gets_one_object(engine: Engine, lanes: WorkerLanes, source: str) -> None:
    await upload(engine, Upload("send", "javascript", source), check_source)
    document = using("send")
    document["nodes"] = [{"id": "a", "type": "send", "config": {"to": "${who}", "subject": "!"}}]
    workflow_id = await create_workflow(engine, document)
    started = await start_run(engine, StartRequest(workflow_id, {"who": "Ada"}))
    await drain(engine, started.dispatches, lanes)
    task = (await tasks_of(engine, started.run_id))["a"]
    assert task.output == {"success": True, "messageId": "Ada!"}, task.error


async def test_a_missing_parameter_is_named(engine: Engine, lanes: WorkerLanes) -> None:
    await set_trusted(engine, trusted=True)
    await put(engine, PARAMETERS)
    document = using("greet")
    document["nodes"] = [{"id": "a", "type": "greet", "retry": {"maxAttempts": 1}, "config": {"to": "x"}}]
    started = await start_run(engine, StartRequest(await create_workflow(engine, document), {"subject": "y"}))
    await drain(engine, started.dispatches, lanes)
    error = (await tasks_of(engine, started.run_id))["a"].error
    assert "missing 1 required positional argument: 'subject'" in str(error)


async def test_what_is_printed_is_in_the_log_as_far_as_it_may(engine: Engine, lanes: WorkerLanes) -> None:
    for trusted in (True, False):
        await set_trusted(engine, trusted)
        await put(engine, "def run(task_input):\n    for n in range(1200):\n        print('line', n)\n")
        started = await start_run(engine, StartRequest(await create_workflow(engine, using("greet"))))
        await drain(engine, started.dispatches, lanes)
        lines = await reading.run_log(engine, started.run_id)
        written = [one for line in lines if (one := line.event.message) and "line" in one]
        assert (len(written), written[0], written[-1]) == (1000, "line 0", "(201 more lines)")


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "sandboxed"])
async def test_what_no_database_holds_may_be_printed(
    engine: Engine, lanes: WorkerLanes, trusted: bool
) -> None:
    await set_trusted(engine, trusted)
    await put(
        engine, "def run(task_input):\n    print('a\\0b')\n    print('\\ud800'.encode('utf-8', 'replace'))\n"
    )
    started = await start_run(engine, StartRequest(await create_workflow(engine, using("greet"))))
    await drain(engine, started.dispatches, lanes)
    assert await status_of(engine, started.run_id) == "succeeded"


async def test_nothing_of_one_version_is_left_for_the_next(engine: Engine, lanes: WorkerLanes) -> None:
    """One child process runs them all: neither modules nor globals stay."""
    await set_trusted(engine, trusted=True)
    counting = (
        "count = 0\ndef run(task_input):\n    global count\n    count += 1\n    return [VERSION, count]\n"
    )
    seen: list[JsonValue] = []
    for version in ("'one'", "'two'", "'one'"):
        await put(engine, counting.replace("VERSION", version))
        started = await start_run(
            engine, StartRequest(await create_workflow(engine, using("greet", "greet")))
        )
        await drain(engine, started.dispatches, lanes)
        seen += [await output(engine, started.run_id, node) for node in "ab"]
    assert seen == [["one", 1], ["one", 1], ["two", 1], ["two", 1], ["one", 1], ["one", 1]]


def naming(*nodes: JsonObject) -> JsonObject:
    """A workflow that may be saved although nobody knows its activity."""
    return {"name": "hopes", "nodes": [*nodes]}


GREET: JsonObject = {"id": "a", "type": "activity", "config": {"activity": "greet"}}
GREET_EACH: JsonObject = {
    "id": "a",
    "type": "map",
    "config": {"items": [1, 2, 3], "body": {"nodes": [{**GREET, "id": "x"}]}},
}


@pytest.mark.parametrize("node", [GREET, GREET_EACH], ids=["a node", "in a body"])
@pytest.mark.parametrize("is_activated_later", [False, True])
async def test_a_run_that_waits_for_an_activity_goes_on_when_it_is_uploaded(
    engine: Engine, lanes: WorkerLanes, node: JsonObject, is_activated_later: bool
) -> None:
    await set_trusted(engine, trusted=True)
    started = await start_run(engine, StartRequest(await create_workflow(engine, naming(node))))
    await drain(engine, started.dispatches, lanes)
    assert await status_of(engine, started.run_id) == "running"
    done = await put(engine, answering("at last"), activates=not is_activated_later)
    jobs = (await activities.activate(engine, "greet", done.hash)).dispatches or done.dispatches
    await put(engine, answering("newer"))
    await drain(engine, jobs, lanes)
    await drain_in_time(engine, lanes, started.run_id)
    # It is pinned when it comes to the activity, and then to one version.
    text = json.dumps(await output(engine, started.run_id))
    assert ("newer" in text) != ("at last" in text), text
    rows = await sql(engine.db, "SELECT DISTINCT pins->>'greet' AS hash FROM workflow_runs")
    assert len(rows) == 1


async def drain_in_time(engine: Engine, lanes: WorkerLanes, run_id: UUID) -> None:
    """Also what is due in a moment."""

    async def has_ended() -> bool:
        await drain(engine, await process.tick(engine), lanes)
        return await status_of(engine, run_id) != "running"

    await eventually(has_ended, 20, "the run ends")


@pytest.mark.parametrize(
    "source",
    [
        "/* f=function" + " " * 700_000 + "x */\nfunction f() {}",
        "/*" + "\nexport {" * 80_000 + "*/\nfunction f() {}",
    ],
    ids=["spaces", "exports"],
)
async def test_a_source_that_is_made_to_be_slow_holds_up_nobody(
    engine: Engine, lanes: WorkerLanes, source: str
) -> None:
    """Read with care, each of them takes milliseconds; read without, seconds to hours of this process."""
    began = time.process_time()
    await upload(engine, Upload("f", "javascript", source), check_source)
    saved = await create_workflow(engine, using("f"))
    run = await start_run(engine, StartRequest(saved))
    await drain(engine, run.dispatches, lanes)
    assert await status_of(engine, run.run_id) == "succeeded"
    assert time.process_time() - began < 10
