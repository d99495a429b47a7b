"""The project's own files and commands, for tests that hold them against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import typer.main

from headrace.cli.main import app
from headrace.config import Settings

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = frozenset(str(field.validation_alias) for field in Settings.model_fields.values())
"""The names that Headrace reads from the environment."""


def read(name: str) -> str:
    return (ROOT / name).read_text()


def tool(name: str) -> ModuleType:
    """A script of `tools/`, loaded and not run."""
    spec = spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_targets() -> dict[str, str]:
    """The targets of the Makefile with their help."""
    return dict(re.findall(r"^([a-z-]+):[^=\n]*## (.+)$", read("Makefile"), re.MULTILINE))


def is_command(words: list[str]) -> bool:
    """Whether `headrace <words>` begins with a command, down to one that is no group."""
    command: object = typer.main.get_command(app)
    for word in words:
        inner = getattr(command, "commands", None)
        if inner is None:
            return True
        if word not in inner:
            return False
        command = inner[word]
    return not hasattr(command, "commands")


def headrace_calls(text: str) -> Iterator[list[str]]:
    """The words after each call of `headrace` in a text's code."""
    for call in re.finditer(
        r"(?:^|[\s`(]|\$\(BIN\)/|\.venv/bin/)headrace ((?:[\w./$()'-]+ ?)+)", text, re.MULTILINE
    ):
        yield call[1].split()
