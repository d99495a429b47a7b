"""The embedded stack on real servers: as root or not, killed, restarted, in each other's way."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from headrace.errors import InvalidSettings, StoreUnavailable, WrongState
from headrace.local import postgres, unprivileged
from headrace.local import server as embedded
from headrace.local.paths import free_port
from headrace.local.postgres import EmbeddedPostgres, find_package
from headrace.local.redis import EmbeddedRedis, find_redis
from headrace.local.stack import EmbeddedStack, read_running
from support import processes
from support.processes import PLAIN_USER, Runner, eventually, is_gone, owner_of, parent_of
from support.servers import passable_folder

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["as_we_are", "as_plain_user"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "as_we_are":
        yield processes.runner_as_we_are()
        return
    with passable_folder() as copies:
        yield processes.runner_as_plain_user(copies)


@contextmanager
def folder_of(runner: Runner) -> Iterator[Path]:
    with passable_folder() as folder:
        if runner.user:
            shutil.chown(folder, runner.user)
        yield folder


@pytest.fixture
def empty(runner: Runner) -> Iterator[Path]:
    """An empty folder of the runner's user."""
    with folder_of(runner) as folder:
        yield folder


@pytest.fixture(scope="module")
def once_started(runner: Runner) -> Iterator[Path]:
    with folder_of(runner) as folder:
        with owner(runner, folder / "data"):
            pass
        yield folder


@pytest.fixture
def folder(runner: Runner, once_started: Path) -> Iterator[Path]:
    """A folder of the runner's user, whose `data` has seen its first start."""
    with folder_of(runner) as copy:
        subprocess.run(["cp", "-Rp", once_started / "data", copy], check=True)
        yield copy


@dataclass
class Owner:
    """A process with a running stack."""

    process: subprocess.Popen[str]
    data_dir: Path
    said: dict[str, str]

    @property
    def database_url(self) -> str:
        return self.said["database_url"]

    def server(self, name: str) -> int:
        return int((self.data_dir / name / "pid").read_text().split()[0])

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)


@contextmanager
def owner(runner: Runner, data_dir: Path) -> Iterator[Owner]:
    with runner.start("stack_owner.py", data_dir) as process:
        assert process.stdout is not None
        yield Owner(process, data_dir, json.loads(process.stdout.readline()))


async def sql(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            value = await connection.fetchval(statement)
        return value
    finally:
        await connection.close()


async def test_the_servers_wait_for_the_disk(runner: Runner, folder: Path) -> None:
    with owner(runner, folder / "data") as one:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await sql(one.database_url, f"SHOW {setting}") == "on"
        with redis.Redis.from_url(one.said["redis_url"]) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


async def test_the_servers_answer_to_their_passwords_only() -> None:
    with passable_folder() as folder, EmbeddedStack(folder / "data", True, True) as stack:
        assert await sql(stack.database_url, "SELECT current_database()") == "headrace"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(stack.database_url, password="wrong")
        address = urlsplit(stack.redis_url)
        with socket.create_connection((str(address.hostname), address.port or 0)) as stranger:
            stranger.sendall(b"PING\r\n")
            assert stranger.recv(100).startswith(b"-NOAUTH")


async def test_postgres_never_runs_as_root(runner: Runner, folder: Path) -> None:
    with owner(runner, folder / "data") as one:
        uid = owner_of(one.server("postgres"))
        assert uid == (pwd.getpwnam(PLAIN_USER).pw_uid if os.geteuid() == 0 else os.geteuid())


async def test_secrets_are_for_their_owner_only_and_parent_folders_keep_their_modes(
    runner: Runner, empty: Path
) -> None:
    modes = [(parent, parent.stat().st_mode) for parent in [empty, *empty.parents]]
    with owner(runner, empty / "data") as one:
        secrets = [one.said["database_url"], one.said["redis_url"]]
        passwords = [(urlsplit(url).password or "").encode() for url in secrets]
        for path in (empty / "data").rglob("*"):
            if path.is_file() and any(password in path.read_bytes() for password in passwords):
                assert path.stat().st_mode & 0o077 == 0, path
        assert (empty / "data/stack.json").stat().st_mode & 0o777 == 0o600
        commands = subprocess.run(["ps", "-A", "-o", "command="], capture_output=True, check=True).stdout
        assert not any(password in commands for password in passwords)
    assert modes == [(parent, parent.stat().st_mode) for parent in [empty, *empty.parents]]


async def test_the_second_start_keeps_data_ports_and_passwords(runner: Runner, folder: Path) -> None:
    with owner(runner, folder / "data") as first:
        await sql(first.database_url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        with redis.Redis.from_url(first.said["redis_url"]) as client:
            client.set("kept", 7)
    with owner(runner, folder / "data") as second:
        assert second.said == first.said
        assert await sql(second.database_url, "SELECT n FROM kept") == 7
        with redis.Redis.from_url(second.said["redis_url"]) as client:
            assert client.get("kept") == b"7"


async def test_an_orderly_end_leaves_nothing_running(runner: Runner, folder: Path) -> None:
    with owner(runner, folder / "data") as one:
        pids = [one.server("postgres"), one.server("redis")]
        running = read_running(folder / "data")
        assert running is not None
        assert (running.pid, running.database_url) == (one.process.pid, one.database_url)
        one.end()
        assert all(is_gone(pid) for pid in pids)
        assert read_running(folder / "data") is None
        assert not (folder / "data/stack.json").exists()


async def test_the_servers_end_when_their_owner_is_killed_and_keep_what_was_committed(
    runner: Runner, folder: Path
) -> None:
    with owner(runner, folder / "data") as one:
        await sql(one.database_url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        pids = [one.server("postgres"), one.server("redis")]
        one.kill()
        assert read_running(folder / "data") is None
        eventually(lambda: all(is_gone(pid) for pid in pids), 5)
    with owner(runner, folder / "data") as again:
        assert again.said == one.said
        assert await sql(again.database_url, "SELECT n FROM kept") == 7


async def test_a_restart_right_after_a_kill_waits_for_the_old_servers(runner: Runner, folder: Path) -> None:
    with owner(runner, folder / "data") as one:
        one.kill()
        with owner(runner, folder / "data") as again:
            assert await sql(again.database_url, "SELECT 7") == 7


async def test_servers_whose_owner_and_leashes_were_killed_are_stopped_by_the_next_start(
    runner: Runner, folder: Path
) -> None:
    with owner(runner, folder / "data") as one:
        orphans = [one.server("postgres"), one.server("redis")]
        for leash in map(parent_of, orphans):
            os.kill(leash, signal.SIGKILL)
        one.kill()
        assert not any(is_gone(pid) for pid in orphans)
        with owner(runner, folder / "data") as again:
            assert all(is_gone(pid) for pid in orphans)
            assert again.said == one.said
            assert await sql(again.database_url, "SELECT 7") == 7


async def test_a_second_owner_is_told_who_has_the_folder(runner: Runner, folder: Path) -> None:
    with owner(runner, folder / "data") as one, owner(runner, folder / "data") as second:
        assert second.said["error"] == "WrongState"
        assert f"{folder / 'data'} is in use by process {one.process.pid}" in second.said["message"]
        assert await sql(one.database_url, "SELECT 7") == 7


async def test_killed_servers_are_revived_with_their_data() -> None:
    with passable_folder() as folder, EmbeddedStack(folder / "data", True, True) as stack:
        before = (stack.database_url, stack.redis_url)
        await sql(stack.database_url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
        assert stack.revive() == []
        for name in ("postgres", "redis"):
            pid = int((folder / "data" / name / "pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            eventually(partial(is_gone, pid))
        revived: list[str] = []

        def both_are_back() -> bool:
            revived.extend(stack.revive())
            return sorted(revived) == ["PostgreSQL", "Redis"]

        eventually(both_are_back)
        assert (stack.database_url, stack.redis_url) == before
        assert await sql(stack.database_url, "SELECT n FROM kept") == 7


async def test_only_what_is_needed_is_started(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "data", need_postgres=False, need_redis=True) as stack:
        assert stack.database_url == ""
        assert stack.redis_url.startswith("redis://")
        assert not (tmp_path / "data/postgres").exists()
        stack.announce("http://127.0.0.1:3000")
        running = read_running(tmp_path / "data")
        assert running is not None
        assert running.api_url == "http://127.0.0.1:3000"


async def test_another_port_is_taken_when_somebody_has_ours(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as first:
        port = first.port
    with socket.create_server(("127.0.0.1", port)), EmbeddedRedis(tmp_path) as second:
        assert second.port != port
    with EmbeddedRedis(tmp_path) as third:
        assert third.port == second.port


@pytest.mark.parametrize("kind", [EmbeddedRedis, EmbeddedPostgres])
async def test_a_port_that_is_lost_between_look_and_start_costs_only_another_try(
    kind: type[EmbeddedRedis | EmbeddedPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, passable_folder() as folder:
        answers = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(embedded, "kept_port", lambda _path: next(answers))
        with kind(folder / "server", durable=False) as server:
            assert server.is_alive()
            assert server.port != taken.getsockname()[1]


async def test_an_interrupted_first_start_is_begun_anew() -> None:
    with passable_folder() as folder:
        (folder / "postgres/data.part").mkdir(parents=True)
        (folder / "postgres/data.part/half").write_text("written")
        with EmbeddedPostgres(folder / "postgres", durable=False) as server:
            assert await sql(server.url(), "SELECT 7") == 7


async def test_data_of_another_major_version_is_named_and_left_alone() -> None:
    with passable_folder() as folder:
        (folder / "data").mkdir()
        (folder / "data/PG_VERSION").write_text("16\n")
        with pytest.raises(InvalidSettings, match="written by PostgreSQL 16 and the embedded one is 18"):
            EmbeddedPostgres(folder).start()
        assert [path.name for path in (folder / "data").iterdir()] == ["PG_VERSION"]
        # The failed start let go of the folder.
        with pytest.raises(InvalidSettings):
            EmbeddedPostgres(folder).start()


async def test_a_server_that_does_not_start_shows_the_end_of_its_log() -> None:
    with passable_folder() as folder:
        with EmbeddedPostgres(folder, durable=False) as server:
            configuration = server.data / "postgresql.conf"
            configuration.write_text("no_such_setting = 1\n")
        with pytest.raises(StoreUnavailable, match="no_such_setting"):
            EmbeddedPostgres(folder, durable=False).start()


@pytest.fixture
def state_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for /var/lib/headrace, so that tests leave nothing there."""
    with passable_folder() as folder:
        monkeypatch.setattr(unprivileged, "state_folder", lambda: folder)
        yield folder


async def test_a_folder_that_the_servers_user_cannot_reach_gets_its_data_elsewhere(
    tmp_path: Path, state_folder: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for _ in range(2):
        with EmbeddedPostgres(hidden / "postgres", durable=False) as server:
            assert await sql(server.url(), "SELECT 7") == 7
            assert server.data.parent.parent == (state_folder if os.geteuid() == 0 else hidden)
            assert server.data.stat().st_mode & 0o777 == 0o700
    assert hidden.stat().st_mode & 0o777 == 0o700


async def test_a_placed_folder_that_is_gone_is_an_error_and_no_empty_database(tmp_path: Path) -> None:
    (tmp_path / "location").write_text(f"{tmp_path}/gone\n")
    with pytest.raises(InvalidSettings, match="gone, which does not exist"):
        EmbeddedPostgres(tmp_path).start()


async def test_programs_that_the_servers_user_cannot_reach_are_copied_once(
    tmp_path: Path, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    package = find_package()
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, site / source.name, ignore=shutil.ignore_patterns("pginstall"))
    monkeypatch.setattr(postgres, "find_package", lambda: site / package.name)
    with passable_folder() as folder:
        for _ in range(2):
            with EmbeddedPostgres(folder, durable=False) as server:
                assert await sql(server.url(), "SELECT 7") == 7
    assert len(list(state_folder.iterdir())) == (1 if os.geteuid() == 0 else 0)


async def test_without_any_redis_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InvalidSettings, match=r"install redis-server.* or set REDIS_URL"):
        find_redis()


async def test_without_the_postgres_wheel_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InvalidSettings, match=r"pip install .*or set DATABASE_URL"):
        find_package()


@pytest.mark.parametrize(
    ("name", "says", "is_taken"),
    [
        ("redis-server", "Redis server v=6.0.20 sha=0:0", False),
        ("redis-server", "Redis server v=6.2.0 sha=0:0", True),
        ("redis-server", "Redis server v=10.0.1 sha=0:0", True),
        ("valkey-server", "Valkey server v=8.1.1 sha=0:0", True),
        ("redis-server", "something else", False),
    ],
)
async def test_a_server_on_path_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str, is_taken: bool
) -> None:
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    binary, _ = find_redis()
    assert (binary == program) is is_taken


async def test_a_folder_can_be_used_again_in_the_same_process_once_it_is_free(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path), pytest.raises(WrongState, match=f"in use by process {os.getpid()}"):
        EmbeddedRedis(tmp_path).start()
    with EmbeddedRedis(tmp_path) as again:
        assert again.is_alive()
