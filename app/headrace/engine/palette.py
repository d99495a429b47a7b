"""The node types that a document may use: those of this process, and the activities that it names."""

from __future__ import annotations

from dataclasses import replace

from headrace.engine.catalogue import widened_for
from headrace.engine.program import Engine
from headrace.graph.json_types import JsonValue


async def knowing_stored(engine: Engine, document: JsonValue) -> Engine:
    """The engine, with the activities among its node types that a document names, stored or of other workers.

    It looks into the database only if the document names a type that this process does not know.
    """
    nodes = await widened_for(engine.db, engine.nodes, document)
    return engine if nodes is engine.nodes else replace(engine, nodes=nodes)
