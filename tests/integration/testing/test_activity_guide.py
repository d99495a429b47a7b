"""The project of the guide to activities: its tests pass, and a worker finds its activities."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from headrace import context, worker_task
from headrace.activities.registry import REGISTRY
from headrace.graph.json_types import JsonObject
from headrace.testing import run_workflow
from support.project import read

_PAGE = "docs/howto/write-an-activity.md"


def project(folder: Path) -> None:
    """Writes the files of the page: each stands in a block after its name."""
    for name, text in re.findall(
        r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", read(_PAGE), re.MULTILINE | re.DOTALL
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_its_tests_pass(tmp_path: Path) -> None:
    project(tmp_path)
    assert {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*.*")} == {
        "tasks/parcels.py",
        "test_parcels.py",
        "send.json",
    }
    done = ran(tmp_path, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-q", "test_parcels.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_a_worker_finds_its_activities(tmp_path: Path) -> None:
    project(tmp_path)
    look = (
        "from pathlib import Path\n"
        "from headrace.activities.registry import REGISTRY\n"
        "from headrace_worker.discovery import discover\n"
        "assert discover(folders=[Path('tasks')]) == []\n"
        "print(*[one.name for one in REGISTRY])\n"
    )
    done = ran(tmp_path, "-c", look)
    assert done.stdout.split() == ["book_courier", "price_parcels"], done.stderr


def test_an_activity_that_the_test_process_lacks_is_waited_for_and_takes_no_time() -> None:
    node: JsonObject = {"id": "n", "type": "activity", "config": {"activity": "nobody"}}
    result = run_workflow({"name": "w", "nodes": [node], "edges": []})
    assert result.status == "running"
    assert result.tasks["n"].waits_for == "activity nobody"


def test_isolated_activities_run_in_the_test_process() -> None:
    with REGISTRY.restored():
        worker_task("apart", isolated=True)(apart)
        node: JsonObject = {"id": "n", "type": "apart", "config": {"a": 2}}
        result = run_workflow({"name": "w", "nodes": [node], "edges": []})
    assert result.tasks["n"].output == {"a": 2, "node": "n"}
    assert "from afar" in result.lines


def apart(a: int) -> JsonObject:
    context().logger.info("from afar")
    return {"a": a, "node": context().node_id}
