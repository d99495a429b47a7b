"""The node types that a document may use: those of this process, and the activities that it names."""

from __future__ import annotations

from dataclasses import replace

from headrace.engine.catalogue import widened_for
from headrace.engine.program import Engine
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT


async def knowing_stored(engine: Engine, document: JsonValue, project: str | None = None) -> Engine:
    """The engine, with the activities among its node types that a document names, stored or of other workers.

    project: whose stored activities; None for that which the document names, or else the default one. It
    looks into the database only if the document names a type that Headrace does not bring.
    """
    owner = project or _named_project(document) or DEFAULT_PROJECT
    nodes = await widened_for(engine.db, engine.nodes, document, owner)
    return engine if nodes is engine.nodes else replace(engine, nodes=nodes)


def _named_project(document: JsonValue) -> str | None:
    named = document.get("project") if isinstance(document, dict) else None
    return named if isinstance(named, str) else None
