"""`headrace worker start --follow`: a supervisor without a stack, as a container runs it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from headrace.store import worker_targets, workers
from headrace.store.db import Database
from headrace.store.workers import Worker
from support.fleet import eventually
from support.local_stack import HEADRACE, clean_environment, run_cli

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def running(db: Database) -> list[Worker]:
    return [one for one in await db.transact(workers.all_workers) if one.state == "running"]


async def wish(db: Database, project: str, count: int) -> None:
    await db.transact(partial(worker_targets.set_target, count=count, project=project))


async def until_they_are(db: Database, *projects: str) -> None:
    async def they_are() -> bool:
        return sorted(one.projects[0] for one in await running(db)) == sorted(projects)

    await eventually(they_are, 30, f"workers of {projects} run")


async def test_it_follows_what_projects_want_until_it_is_told_to_stop(
    database_url: str, redis_url: str, db: Database, tmp_path: Path
) -> None:
    await wish(db, "shop", 1)
    env = clean_environment(DATABASE_URL=database_url, REDIS_URL=redis_url)
    command = [*HEADRACE, "worker", "start", "--follow"]
    follower = subprocess.Popen(command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL)
    try:
        await until_they_are(db, "shop")
        await wish(db, "default", 1)
        await until_they_are(db, "default", "shop")
        await wish(db, "shop", 0)
        await until_they_are(db, "default")
        follower.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(follower.wait, 30) == 0
    finally:
        follower.kill()
        follower.wait()
    left = await db.transact(partial(workers.all_workers, include_ended=True))
    assert {(one.projects[0], one.state) for one in left} == {("shop", "stopped"), ("default", "stopped")}


def test_it_needs_servers(tmp_path: Path) -> None:
    answer = run_cli(["worker", "start", "--follow"], clean_environment(), tmp_path)
    assert answer.returncode == 2
    assert "DATABASE_URL and REDIS_URL" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_project_that_cannot_be_is_named(tmp_path: Path) -> None:
    answer = run_cli(["worker", "start"], clean_environment(HEADRACE_PROJECTS="a b,c"), tmp_path)
    assert answer.returncode == 1
    assert "HEADRACE_PROJECTS: 'a b,c'" in answer.stderr
