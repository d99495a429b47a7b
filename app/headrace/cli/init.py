"""`headrace init`: a folder for tasks, workflows and their tests."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.errors import WrongUse
from headrace.cli.options import AsJson
from headrace.cli.output import print_json, say

# Where the name begins with a dot, the template's does not: tools would obey it there.
_FILES = {
    "Makefile": "Makefile",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    ".env": "env",
    ".gitignore": "gitignore",
    "tasks/greet.py": "tasks/greet.py",
    "workflows/hello.json": "workflows/hello.json",
    "tests/test_hello.py": "tests/test_hello.py",
}


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to; else this folder.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a project: one task, one workflow, one test, which runs. Nothing is overwritten."""
    _require_none(folder)
    for name, template in _FILES.items():
        _write(folder / name, _templates() / template)
    if as_json:
        print_json({"folder": str(folder), "files": [*_FILES]})
        return
    for name in _FILES:
        say(f"✓ {folder / name}")
    say(f"Next: {'' if folder == Path() else f'cd {folder} && '}make test")


def _require_none(folder: Path) -> None:
    """Raises WrongUse when one of the files is there: then none is written."""
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is no folder")
    there = [str(folder / name) for name in _FILES if (folder / name).exists()]
    if there:
        raise WrongUse(f"Nothing was written: {', '.join(there)} would be overwritten")


def _templates() -> Traversable:
    return resources.files("headrace.cli") / "scaffold"


def _write(path: Path, template: Traversable) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # what has come since is not overwritten, either
            file.write(template.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"{path} cannot be written: {error.strerror}") from error
