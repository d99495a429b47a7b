"""Users' functions, found by real worker processes and run by them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from uuid import UUID

import pytest

from headrace.engine import reading
from headrace.engine.control import cancel_run
from headrace.engine.explain import explain
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import activities_seen, heartbeats
from support.drive import statuses_of, tasks_of
from support.fleet import Fleet, eventually, fleet

pytestmark = pytest.mark.anyio

TASKS = """
import asyncio, os, threading, time
from headrace import Fail, Retry, context, worker_task

@worker_task("sync")
def in_a_thread(a: int, b: int = 2) -> dict:
    return {"sum": a + b, "thread": threading.current_thread().name, "pid": os.getpid()}

@worker_task("looped")
async def in_the_loop(word: str):
    await asyncio.sleep(0)
    context().logger.info("saw %s", word)
    return {"word": word, "attempt": context().attempt, "key": context().idempotency_key}

@worker_task("alone", isolated=True)
def in_a_process(a: int):
    context().logger.warning("from afar")
    return {"pid": os.getpid(), "parent": os.getppid(), "a": a, "node": context().node_id}

@worker_task("own_loop", isolated=True)
def own_loop():
    return asyncio.run(asyncio.sleep(0, context().node_id))

@worker_task("flaky", retries=1, retry_delay="10ms", retry_on=ConnectionError)
def flaky():
    if context().attempt == 1:
        raise ConnectionResetError("not yet")
    return "done"

@worker_task("refused", retries=5)
async def refused():
    raise Fail("no such card", kind="CardDeclined", details={"code": 51})

@worker_task("apart", isolated=True, retry_on=OSError, retry_delay="10ms")
def apart(how: str):
    if how == "again" and context().attempt == 1:
        raise Retry("once more", kind="Moody")
    if how == "subclass" and context().attempt == 1:
        raise FileNotFoundError("not there")
    if how == "final":
        raise Fail("no such card", kind="CardDeclined", details={"code": 51})
    if how == "other":
        raise ValueError("not retried")
    if how == "segfault":
        os.kill(os.getpid(), 11)
    return how

@worker_task("spoilt")
def spoilt():
    while not context().cancelled:
        context().heartbeat(0.1, "zero \\x00")
        time.sleep(0.05)

@worker_task("slow")
def slow(file: str):
    for step in range(600):
        context().heartbeat(step / 1000, {"step": step})
        if context().cancelled:
            open(file, "w").write("stopped")
            return
        time.sleep(0.05)

@worker_task("slow_alone", isolated=True)
async def slow_alone():
    context().heartbeat(0.5, "half")
    await asyncio.sleep(60)
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "my_tasks"
    folder.mkdir()
    (folder / "all_of_them.py").write_text(dedent(TASKS))
    return folder


@pytest.fixture
async def crew(database_url: str, redis_url: str, tasks: Path) -> AsyncIterator[Fleet]:
    async with fleet(database_url, redis_url, HEADRACE_TASKS=str(tasks)) as one:
        yield one


def node(id: str, type: str, **config: JsonValue) -> JsonObject:
    return {"id": id, "type": type, "config": config}


async def declared(crew: Fleet, name: str) -> None:
    """Waits until a worker has told that it has the activity."""

    async def is_known() -> bool:
        async with crew.engine.db.connection() as tx:
            return any(one.workers for one in await activities_seen.find(tx, [name]))

    await eventually(is_known, 20, f"a worker declares {name}")


async def start(crew: Fleet, *nodes: JsonObject, run_input: JsonValue = None) -> UUID:
    workflow = await crew.save({"name": "activities", "nodes": [*nodes], "edges": []})
    return (await crew.start_runs(workflow, 1, run_input))[0]


async def test_sync_code_runs_in_threads_async_code_in_the_loop_isolated_code_in_a_process(
    crew: Fleet,
) -> None:
    crew.start(1)
    await declared(crew, "sync")
    run = await start(
        crew,
        node("thread", "sync", a="${ n }"),
        node("loop", "looped", word="{{n}} times"),
        node("process", "alone", a=1),
        node("loop_in_process", "own_loop"),
        node("named", "activity", activity="sync", input={"a": 40}),
        node("from_input", "activity", activity="sync"),
        run_input={"n": 5, "a": 1, "b": 1},
    )
    await crew.until_all_ended(30)
    done = await tasks_of(crew.engine, run)
    assert {task.status for task in done.values()} == {"completed"}, done
    (worker,) = crew.workers
    thread, process = done["thread"].output, done["process"].output
    assert isinstance(thread, dict)
    assert isinstance(process, dict)
    assert (thread["sum"], thread["pid"]) == (7, worker.pid)
    assert thread["thread"] == "sync-code"
    assert done["loop"].output == {"word": "5 times", "attempt": 1, "key": str(done["loop"].id)}
    assert process["pid"] not in (worker.pid, None)
    assert (process["a"], process["node"]) == (1, "process")
    assert done["loop_in_process"].output == "loop_in_process"
    named, from_input = done["named"].output, done["from_input"].output
    assert isinstance(named, dict)
    assert isinstance(from_input, dict)
    assert (named["sum"], from_input["sum"]) == (42, 2)
    log = str((await reading.run_detail(crew.engine, run)).log)
    assert "saw 5 times" in log
    assert "from afar" in log


async def test_options_are_the_nodes_defaults_and_failures_say_whether_another_attempt_helps(
    crew: Fleet,
) -> None:
    crew.start(1)
    await declared(crew, "flaky")
    run = await start(crew, node("flaky", "flaky"), node("refused", "refused"))
    await crew.until_all_ended(30)
    done = await tasks_of(crew.engine, run)
    assert (done["flaky"].output, done["flaky"].attempt) == ("done", 2)
    assert (done["refused"].status, done["refused"].attempt) == ("failed", 1)
    assert done["refused"].error == {
        "type": "CardDeclined",
        "message": "no such card",
        "details": {"code": 51},
    }


async def test_failures_of_isolated_code_mean_the_same(crew: Fleet) -> None:
    crew.start(1)
    await declared(crew, "apart")
    ways = ["again", "subclass", "final", "other", "segfault", "unfit"]
    nodes = [node(how, "apart", how=how) for how in ways if how != "unfit"]
    run = await start(crew, *nodes, node("unfit", "apart", how="${ run.input }"), run_input={"a": 1})
    await crew.until_all_ended(40)
    done = await tasks_of(crew.engine, run)
    ends = {
        how: (str(task.status), task.attempt, task.error and task.error["type"]) for how, task in done.items()
    }
    assert ends == {
        "again": ("completed", 2, None),
        "subclass": ("completed", 2, None),
        "final": ("failed", 1, "CardDeclined"),
        "other": ("failed", 1, "ValueError"),
        "segfault": ("failed", 1, "ProcessDied"),
        "unfit": ("failed", 1, "InvalidInput"),
    }


async def beats_of(crew: Fleet, run: UUID) -> list[heartbeats.Beat]:
    async with crew.engine.db.connection() as tx:
        return await heartbeats.of_runs(tx, [run])


@pytest.mark.parametrize("type", ["slow", "slow_alone"])
async def test_heartbeats_are_shown_while_it_runs_and_a_cancel_stops_it(
    crew: Fleet, tmp_path: Path, type: str
) -> None:
    crew.start(1)
    await declared(crew, type)
    file = tmp_path / "stopped"
    run = await start(crew, node("n", type, file=str(file)))

    async def beats() -> bool:
        return bool(await beats_of(crew, run))

    await eventually(beats, 20, "a heartbeat is stored")
    (beat,) = (await reading.run_detail(crew.engine, run)).beats.values()
    assert beat.node_id == "n"
    if type == "slow_alone":
        assert (beat.progress, beat.details) == (0.5, "half")
    await crew.broker.push_async(await cancel_run(crew.engine, run))
    assert await statuses_of(crew.engine, run) == {"n": "cancelled"}
    assert await beats_of(crew, run) == []

    async def has_stopped() -> bool:
        return file.exists() or type == "slow_alone"

    await eventually(has_stopped, 20, "the code sees that it is over")


async def test_what_cannot_be_stored_stops_no_other_heartbeat_and_no_task(
    crew: Fleet, tmp_path: Path
) -> None:
    crew.start(1)
    await declared(crew, "spoilt")
    file = str(tmp_path / "stopped")
    nodes = [node("bad", "spoilt"), node("good", "slow", file=file), node("other", "slow", file=file)]
    run = await start(crew, *nodes)

    async def others() -> bool:
        return {one.node_id for one in await beats_of(crew, run)} == {"good", "other"}

    await eventually(others, 20, "the heartbeats that can be stored are there")
    assert "bad" not in {one.node_id for one in await beats_of(crew, run)}
    await crew.broker.push_async(await cancel_run(crew.engine, run))


async def test_a_line_that_cannot_be_stored_does_not_spoil_the_result(crew: Fleet, tasks: Path) -> None:
    (tasks / "lines.py").write_text(
        "from headrace import context, worker_task\n"
        "@worker_task('odd_line')\n"
        "def odd_line():\n"
        "    context().logger.info('zero \\x00 and half a pair \\ud800')\n"
        "    return 'fine'\n"
    )
    crew.start(1)
    await declared(crew, "odd_line")
    run = await start(crew, node("n", "odd_line"))
    await crew.until_all_ended(20)
    assert (await tasks_of(crew.engine, run))["n"].output == "fine"


async def test_a_worker_without_the_activity_hands_the_task_back_to_one_that_has_it(
    crew: Fleet, database_url: str, redis_url: str
) -> None:
    async with fleet(database_url, redis_url) as bare:
        bare.start(1)
        await declared(bare, "sampleActivity")
        workflow = await bare.save(
            {"name": "w", "nodes": [node("n", "activity", activity="sync", input={"a": 1})], "edges": []}
        )
        (run,) = await bare.start_runs(workflow, 1)

        async def is_held() -> bool:
            return (await tasks_of(bare.engine, run))["n"].held_for == "activity sync"

        await eventually(is_held, 20, "the task waits for somebody who knows the activity")
        assert "knows the activity sync" in str(await explain(bare.engine, run))
        crew.start(1)
        await crew.until_all_ended(20)
        done = (await tasks_of(bare.engine, run))["n"]
        assert (done.status, done.attempt) == ("completed", 1)
        several = await bare.start_runs(workflow, 20)
        await crew.until_all_ended(30)
        assert len(several) == 20
        assert await crew.statuses() == {"succeeded": 21}


async def test_a_module_that_cannot_be_imported_is_told_and_hides_no_other(crew: Fleet, tasks: Path) -> None:
    (tasks / "needs.py").write_text("import no_such_module_anywhere\n")
    (tasks / "twice.py").write_text(
        "from headrace import worker_task\n@worker_task('sync')\ndef other(): ...\n"
    )
    (tasks / "typo.py").write_text(
        "from headrace import worker_task\n@worker_task('t', retires=3)\ndef other(): ...\n"
    )
    crew.start(1)
    await declared(crew, "sync")
    async with crew.engine.db.connection() as tx:
        found = {
            str(one["module"]): one
            for one in await activities_seen.load_problems(tx)
            if isinstance(one, dict)
        }
    assert "pip install no_such_module_anywhere" in str(found["my_tasks/needs.py"]["hint"])
    clash = str(found["my_tasks/twice.py"]["message"])
    assert "all_of_them:in_a_thread" in clash
    assert "twice:other" in clash
    assert "no option 'retires'; it knows" in str(found["my_tasks/typo.py"]["message"])


async def test_installed_packages_bring_activities_and_the_project_goes_before_them(
    crew: Fleet, tasks: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    info = site / "acme_tasks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.tasks]\nacme = acme_tasks\n")
    (site / "acme_tasks.py").write_text(
        "from headrace import worker_task\n"
        "@worker_task('acme')\ndef acme() -> str:\n    return 'from the package'\n"
        "@worker_task('looped')\ndef looped() -> str:\n    return 'hidden by the project'\n"
        "@worker_task('waitFor')\ndef wait_for() -> str:\n    return 'no wait'\n"
    )
    crew.env["PYTHONPATH"] = str(site)
    crew.start(1)
    await declared(crew, "acme")
    run = await start(crew, node("a", "acme"), node("l", "looped", word="w"), node("w", "waitFor"))
    await crew.until_all_ended(20)
    done = await tasks_of(crew.engine, run)
    assert done["a"].output == "from the package"
    assert done["w"].output == "no wait"
    looped = done["l"].output
    assert isinstance(looped, dict)
    assert looped["word"] == "w"
    async with crew.engine.db.connection() as tx:
        origins = {
            str(one.declaration["name"]): (one.declaration["origin"], one.declaration["source"])
            for one in await activities_seen.find(tx, ["acme", "looped", "waitFor", "sampleActivity"])
        }
    assert origins == {
        "acme": ("package", "acme-tasks"),
        "looped": ("project", "my_tasks/all_of_them.py"),
        "waitFor": ("package", "acme-tasks"),
        "sampleActivity": ("built-in", "headrace"),
    }


async def test_at_most_so_many_run_at_once_over_all_workers(crew: Fleet, tasks: Path, tmp_path: Path) -> None:
    (tasks / "narrow.py").write_text(
        dedent(
            """
            import os, time
            from headrace import worker_task

            @worker_task("narrow", concurrency=2)
            def narrow(folder: str, index: int):
                mine = os.path.join(folder, str(index))
                open(mine, "w").close()
                seen = len(os.listdir(folder))
                time.sleep(0.02)
                os.remove(mine)
                return seen
            """
        )
    )
    folder = tmp_path / "running"
    folder.mkdir()
    crew.start(2)
    await declared(crew, "narrow")
    nodes = [node(f"n{n}", "narrow", folder=str(folder), index=n) for n in range(12)]
    run = await start(crew, *nodes)
    await crew.until_all_ended(40)
    seen = [task.output for task in (await tasks_of(crew.engine, run)).values()]
    assert len(seen) == 12
    assert set(seen) <= {1, 2}
