"""The sample workflows: in `examples/` of a source checkout, inside the package once installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from headrace.graph.json_types import JsonObject, JsonValue

_INPUTS = "inputs.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """A workflow to try. file: its name in `examples/`. example_input: an input that it can be run with."""

    name: str
    definition: JsonObject
    file: str
    example_input: JsonObject


def load_samples() -> list[Sample]:
    """All samples in the order of their files' names. Raises FileNotFoundError when there are none."""
    folder = _folder()
    inputs = _read(folder / _INPUTS)
    files = sorted(one.name for one in folder.iterdir() if one.name.endswith(".json") and one.name != _INPUTS)
    return [_sample(file, _read(folder / file), inputs.get(file)) for file in files]


def _folder() -> Traversable:
    """The wheel's copy, else the source checkout's folder."""
    packaged = resources.files("headrace") / "examples"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples"


def _sample(file: str, definition: JsonObject, example_input: JsonValue) -> Sample:
    run_input = example_input if isinstance(example_input, dict) else {}
    return Sample(str(definition["name"]), definition, file, run_input)


def _read(file: Traversable) -> JsonObject:
    document: JsonObject = json.loads(file.read_text(encoding="utf-8"))
    return document
