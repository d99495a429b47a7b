"""`headrace init`: what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

from headrace.cli.documents import read_definition, require_valid_definition, warnings_of
from support.project import ROOT
from support.terminal import Cli

FILES = {
    "Makefile",
    "README.md",
    "pyproject.toml",
    ".env",
    ".gitignore",
    "tasks/greet.py",
    "workflows/hello.json",
    "tests/test_hello.py",
}


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_init_makes_a_folder(cli: Cli, tmp_path: Path) -> None:
    said = cli("init", "demo")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "Next: cd demo && make test"
    assert written(tmp_path / "demo") == FILES


def test_init_in_this_folder_says_what_it_wrote(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    said = json.loads(cli("init", "--json").out)
    assert set(said["files"]) == FILES
    assert written(tmp_path) == FILES | {"notes.txt"}


def test_init_overwrites_nothing_and_then_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "hello.json").write_text("mine")
    said = cli("init")
    assert (said.code, said.out) == (2, "")
    assert said.err == "Nothing was written: workflows/hello.json would be overwritten\n"
    assert written(tmp_path) == {"workflows/hello.json"}
    assert cli("init", "workflows/hello.json").code == 2
    assert (tmp_path / "workflows" / "hello.json").read_text() == "mine"


def test_what_it_writes_is_valid_and_looks_as_it_should(cli: Cli, tmp_path: Path) -> None:
    cli("init", "demo")
    hello = require_valid_definition(read_definition(tmp_path / "demo/workflows/hello.json"))
    assert [one.path for one in warnings_of(hello)] == ["nodes[0].config.activity"]  # no worker is here
    for check in ("check", "format --check"):
        ruff = [sys.executable, "-m", "ruff", *check.split(), "--isolated", "--line-length", "100", "demo"]
        assert subprocess.run(ruff, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_the_wheel_brings_the_templates(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    folder = Path(str(resources.files("headrace.cli") / "scaffold"))
    templates = {name for name in written(folder) if "__pycache__" not in name}
    assert len(templates) == len(FILES)
    assert {f"headrace/cli/scaffold/{name}" for name in templates} <= names
