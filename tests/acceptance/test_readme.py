"""The README's first screen, as a reader would type it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from uuid import UUID

from support.local_stack import UpProcess
from support.processes import eventually
from support.project import ROOT, make_targets, read

FIRST_SCREEN = read("README.md").split("## What it does")[0]
SHELL = re.findall(r"^```sh\n(.*?)^```", FIRST_SCREEN, re.MULTILINE | re.DOTALL)
ANSWER = re.findall(r"^```json\n(.*?)^```", FIRST_SCREEN, re.MULTILINE | re.DOTALL)


def typed(script: str, up: UpProcess) -> subprocess.CompletedProcess[str]:
    """Runs a block as it stands there, but for the port and the place of the interpreter."""
    script = script.replace("localhost:3000", up.url.removeprefix("http://"))
    script = script.replace(".venv/bin/python", sys.executable)
    script = script.replace(".venv/bin/headrace", f"{sys.executable} -m headrace.cli")
    script = script.replace("make scale WORKERS=5", f"{sys.executable} -m headrace.cli scale 5")
    env = os.environ | {"HEADRACE_DATA_DIR": str(up.data_dir)}
    return subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=50, check=False
    )


def test_its_two_commands_exist() -> None:
    assert re.findall(r"^make (\w+) ", SHELL[0], re.MULTILINE) == ["demo", "up"]
    assert {"demo", "up"} <= make_targets().keys()


def test_its_curl_gives_its_answer(up: UpProcess) -> None:
    answer = typed(SHELL[1], up)
    assert answer.returncode == 0, answer.stderr
    started, shown = json.loads(answer.stdout), json.loads(ANSWER[0])
    assert started.keys() == shown.keys()
    assert UUID(started["runId"]).version == UUID(shown["runId"]).version
    with up.client() as client:
        url = f"/workflows/runs/{started['runId']}/status"
        eventually(lambda: client.get(url).json()["status"] == "succeeded", 20)


def test_it_scales_and_watches(up: UpProcess) -> None:
    try:
        answer = typed(SHELL[2], up)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "succeeded" in answer.stdout
        assert len(up.workers()) == 5
    finally:
        up.scale(2)
