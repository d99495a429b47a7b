"""What is known of the source of a stored activity: its entry, and what the entry takes.

Nothing here reads a source: that could take as long as whoever wrote it likes. A sandbox does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headrace.graph.json_types import JsonObject

ANYTHING: JsonObject = {"type": "object"}
"""The schema of an entry that takes one value, or whatever names it is given."""

WHOLE = ("task_input", "input")
"""A lone parameter of such a name gets everything as one value."""


class Parameter(NamedTuple):
    """What a function takes by name. type: as JSON Schema calls it, '' if unknown."""

    name: str
    type: str
    is_required: bool


def entry_of(name: str, exports: Sequence[str], wanted: str | None) -> str | None:
    """The function to call: the wanted one, else the activity's namesake, else the only one; None without."""
    if wanted is not None:
        return wanted if wanted in exports else None
    if name in exports:
        return name
    named = [one for one in ("main", "default") if one in exports]
    return exports[0] if len(exports) == 1 else next(iter(named), None)


def input_schema(takes: Mapping[str, Sequence[Parameter]], entry: str) -> JsonObject:
    """A JSON Schema of what the entry takes. takes: parameters by function, of those that have names."""
    if (parameters := takes.get(entry)) is None:
        return ANYTHING
    return {
        "type": "object",
        "properties": {one.name: {"type": one.type} if one.type else {} for one in parameters},
        "required": [one.name for one in parameters if one.is_required],
    }
