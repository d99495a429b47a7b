"""The formats of other systems that can be read."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from headrace.graph.imports.findings import Imported
from headrace.graph.imports.graph_config import read_graph_config
from headrace.graph.json_types import JsonValue


class Format(StrEnum):
    """The formats by their names."""

    GRAPH_CONFIG = "graph_config"


def read_foreign(format: Format, document: JsonValue) -> Imported:
    """A definition of another system as ours. Raises InvalidDefinition with all that has no counterpart."""
    match format:
        case Format.GRAPH_CONFIG:
            return read_graph_config(document)
        case _:
            assert_never(format)
