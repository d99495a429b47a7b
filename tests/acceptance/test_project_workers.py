"""Workers of projects on a real stack: started, killed, restarted and stopped over HTTP."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from headrace.graph.json_types import JsonObject
from support.build import node, workflow
from support.local_stack import UpProcess, local_stack, start_up
from support.processes import eventually, is_gone
from support.servers import passable_folder
from support.slow_server import SlowServer, slow_server

pytestmark = pytest.mark.timeout(150)

SHOP = {"projectId": "shop"}
SETTINGS = {"HEADRACE_HTTP_ALLOW": "127.0.0.1"}


@pytest.fixture(scope="module")
def stack() -> Iterator[UpProcess]:
    """A stack with one worker, of the default project."""
    with local_stack("--workers", "1", **SETTINGS) as up:
        yield up


def act(client: httpx.Client, verb: str, project: str = "shop") -> None:
    answer = client.post(f"/workers/{verb}", json={"projectId": project})
    done = {"start": "started", "stop": "stopped", "restart": "restarted"}[verb]
    assert answer.json() == {"success": True, "message": f"Worker {done} for project {project}"}


def is_running(client: httpx.Client, project: str = "shop") -> bool:
    status = client.get(f"/workers/status/{project}").raise_for_status().json()
    assert (status["projectId"], status["status"] == "running") == (project, status["isRunning"])
    return bool(status["isRunning"])


def workers_of(up: UpProcess, project: str = "shop") -> list[JsonObject]:
    return [one for one in up.workers() if one["project"] == project]


def pid_of(up: UpProcess, project: str = "shop") -> int:
    (worker,) = workers_of(up, project)
    return int(str(worker["pid"]))


def ended(client: httpx.Client) -> dict[str, str]:
    items = client.get("/workers", params={"ended": True}).raise_for_status().json()["items"]
    return {str(one["pid"]): str(one["state"]) for one in items}


def a_slow_call(client: httpx.Client, server: SlowServer) -> str:
    """Starts a run that calls the slow server, and waits until it does."""
    call = node("call", "apiCall", config={"url": f"{server.url}/call", "failOnError": True})
    saved = client.post("/workflows", json=workflow([call], [])).raise_for_status().json()
    before = server.total
    started = client.post(f"/workflows/{saved['id']}/trigger", json={}).raise_for_status().json()
    eventually(lambda: server.total == before + 1)
    return str(started["runId"])


def has_succeeded(client: httpx.Client, run_id: str) -> bool:
    return bool(client.get(f"/runs/{run_id}").raise_for_status().json()["status"] == "succeeded")


def test_start_is_idempotent_and_stop_leaves_nobody(stack: UpProcess) -> None:
    with stack.client() as client:
        assert not is_running(client)
        with ThreadPoolExecutor(4) as clients:
            for done in [clients.submit(act, client, "start") for _ in range(4)]:
                done.result()
        assert is_running(client)
        pid = pid_of(stack)
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert b"HEADRACE_PROJECTS=shop" in environment
        assert client.get("/workers").json()["workers"] == ["default", "shop"]
        act(client, "start")
        assert pid_of(stack) == pid
        act(client, "stop")
        assert not is_running(client)
        eventually(lambda: is_gone(pid))
        assert ended(client)[str(pid)] == "stopped"
        assert client.get("/workers").json()["workers"] == ["default"]
        act(client, "stop")


def test_a_worker_shows_what_it_is_and_uses(stack: UpProcess) -> None:
    with stack.client() as client:
        act(client, "start")
        eventually(lambda: workers_of(stack)[0]["memoryMb"] is not None, 20)
        (worker,) = workers_of(stack)
        act(client, "stop")
    assert 10 < float(str(worker["memoryMb"])) < 1000
    assert worker["healthy"] is True
    assert isinstance(worker["versions"], dict)
    assert worker["versions"].keys() == {"headrace", "python", "rq"}


def test_a_killed_worker_is_replaced_and_its_tasks_come_back(stack: UpProcess) -> None:
    with slow_server(1.0) as server, stack.client() as client:
        server.delay = 30
        run_id = a_slow_call(client, server)
        victim = pid_of(stack, "default")
        server.delay = 0
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: has_succeeded(client, run_id), 15)
        eventually(lambda: is_running(client, "default"), 15)
        assert pid_of(stack, "default") != victim
        assert ended(client)[str(victim)] == "failed"


def test_a_restart_replaces_the_process_and_what_runs_is_finished(stack: UpProcess) -> None:
    with slow_server(3.0) as server, stack.client() as client:
        before = pid_of(stack, "default")
        run_id = a_slow_call(client, server)
        act(client, "restart", "default")
        after = [int(str(one["pid"])) for one in workers_of(stack, "default")]
        assert after
        assert before not in after
        eventually(lambda: has_succeeded(client, run_id), 15)
        eventually(lambda: is_gone(before), 15)
        assert server.total == 1
        assert ended(client)[str(before)] == "stopped"
        assert len(workers_of(stack, "default")) == 1


def test_what_is_wanted_outlives_the_api_and_the_whole_stack() -> None:
    with passable_folder() as folder:
        first = start_up(folder, "--workers", "1", **SETTINGS)
        with first.client() as client:
            act(client, "start")
            worker = pid_of(first)
            (api,) = (pid for pid in first.descendants() if is_api(pid))
            os.kill(api, signal.SIGKILL)
        eventually(lambda: answers(first.url), 20)
        with first.client() as client:
            assert is_running(client)
            assert pid_of(first) == worker
            act(client, "start")
            assert pid_of(first) == worker
        assert first.stop() == 0
        second = start_up(folder, "--workers", "1", **SETTINGS)
        try:
            with second.client() as client:
                eventually(lambda: is_running(client), 20)
                act(client, "stop")
        finally:
            assert second.stop() == 0


def is_api(pid: int) -> bool:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return arguments[2:5] == [b"-m", b"headrace.cli", b"api"]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
