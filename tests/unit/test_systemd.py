"""The units for systemd, held against the code, the guide and each other."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest

from headrace.cli import server
from headrace.config import Settings
from support.project import SETTINGS, is_command, read

FOLDER = "deploy/systemd"
API, WORKER = "headrace-api.service", "headrace-worker@.service"
PROGRAM = "/opt/headrace/bin/headrace"
FROM_ELSEWHERE = {"PYTHONUNBUFFERED"}

Section = Mapping[str, Sequence[str]]


def parse(text: str) -> dict[str, Section]:
    """The sections of a unit; an option may stand in one several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = sections[heading[1]] = defaultdict(list)
        elif line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Z]\w+=.*", line), line
            name, _, value = line.partition("=")
            section[name].append(value)
    return {name: dict(section) for name, section in sections.items()}


def unit(name: str) -> dict[str, Section]:
    return parse(read(f"{FOLDER}/{name}"))


def one(section: Section, name: str) -> str:
    (value,) = section[name]
    return value


def environment(name: str) -> dict[str, str]:
    words = [word for line in unit(name)["Service"]["Environment"] for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def commands(name: str) -> list[list[str]]:
    service = unit(name)["Service"]
    return [line.split() for key in ("ExecStartPre", "ExecStart") for line in service.get(key, ())]


def assignments(text: str) -> dict[str, str]:
    """What an example of an environment file sets, also where it is commented out."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))


each_unit = pytest.mark.parametrize("name", [API, WORKER])


def test_an_option_that_is_none_is_noticed() -> None:
    with pytest.raises(AssertionError):
        parse("[Service]\nRestart always")
    assert parse("[Service]\n# why\nA1=x y\nA1=z=1\n") == {"Service": {"A1": ["x y", "z=1"]}}


@each_unit
def test_units_run_commands_that_exist(name: str) -> None:
    for program, *words in commands(name):
        assert program == PROGRAM
        assert is_command(words), words
    assert commands(name)[-1][1:] == (["api"] if name == API else ["worker", "start"])


def test_the_api_migrates_before_it_starts_and_workers_come_after_it() -> None:
    assert commands(API)[0][1:] == ["migrate"]
    assert API in one(unit(WORKER)["Unit"], "After").split()


@each_unit
def test_units_set_settings_that_exist(name: str) -> None:
    given = environment(name)
    assert given.keys() - FROM_ELSEWHERE <= SETTINGS
    Settings.model_validate({key: value for key, value in given.items() if key in SETTINGS})
    files = unit(name)["Service"]["EnvironmentFile"]
    assert files[0] == "/etc/headrace/headrace.env"
    assert list(files[1:]) == ([] if name == API else ["-/etc/headrace/worker-%i.env"])


def test_the_example_of_the_environment_sets_settings_that_exist() -> None:
    given = assignments(read(f"{FOLDER}/headrace.env.example"))
    assert given.keys() <= SETTINGS
    assert {"DATABASE_URL", "REDIS_URL"} <= given.keys()
    set_ = {name: value for name, value in given.items() if value}
    Settings.model_validate(set_)
    assert given["HEADRACE_GRACE_SECONDS"] == environment(WORKER)["HEADRACE_GRACE_SECONDS"]
    assert given["HEADRACE_SECRET_KEY"] == ""


@each_unit
def test_units_are_always_started_again(name: str) -> None:
    found = unit(name)
    assert one(found["Service"], "Restart") == "always"
    assert one(found["Unit"], "StartLimitIntervalSec") == "0"
    assert one(found["Install"], "WantedBy") == "multi-user.target"


@each_unit
def test_units_are_asked_to_stop_and_have_the_time_for_it(name: str) -> None:
    service = unit(name)["Service"]
    assert one(service, "KillSignal") == "SIGTERM"
    assert (
        one(service, "KillMode") == "mixed"
    )  # the children of a worker are ended by it, when their code is done
    needed = server._CLOSE_SECONDS if name == API else float(environment(name)["HEADRACE_GRACE_SECONDS"])
    assert float(one(service, "TimeoutStopSec")) > needed + 5


@each_unit
def test_units_may_do_no_more_than_they_must(name: str) -> None:
    service = unit(name)["Service"]
    assert one(service, "User") == "headrace"
    assert one(service, "CapabilityBoundingSet") == ""
    assert one(service, "ProtectSystem") == "strict"
    for option in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "RestrictNamespaces"):
        assert one(service, option) == "yes"
    writable = f"/var/lib/{one(service, 'StateDirectory')}"
    assert one(service, "WorkingDirectory") == writable  # HEADRACE_DATA_DIR lies there


def test_the_kernel_lets_workers_make_their_sandboxes() -> None:
    """A filter of systemd would refuse Landlock; isolated code may use more memory than is there."""
    service = unit(WORKER)["Service"]
    assert not service.keys() & {"SystemCallFilter", "MemoryDenyWriteExecute"}
    assert one(service, "OOMPolicy") == "continue"


def test_the_guide_installs_the_units_as_they_are() -> None:
    guide = read("docs/howto/deploy.md")
    for name in (API, WORKER, "headrace.env.example"):
        assert f"{FOLDER}/{name}" in guide
    assert "/opt/headrace" in guide
    assert "/etc/headrace/headrace.env" in guide
    assert re.search(r"systemctl enable --now headrace-api headrace-worker@1", guide)
