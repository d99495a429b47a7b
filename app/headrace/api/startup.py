"""What a fresh database gets: the sample workflows and the API templates that come with Headrace."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from headrace.api.shipped_templates import shipped_templates
from headrace.engine.program import Engine
from headrace.engine.save import checked
from headrace.graph.definition import to_wire
from headrace.graph.json_types import JsonObject
from headrace.samples import load_samples
from headrace.store import templates, workflows
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.templates import NewTemplate


async def load_samples_and_templates(engine: Engine, with_samples: bool = True) -> None:
    """Stores the samples if there is no workflow yet, and the shipped templates that are missing.

    Two processes may do it at once, and again at every start: a template that was deleted stays deleted.
    """
    await engine.db.transact(partial(_load, engine, with_samples))


async def _load(engine: Engine, with_samples: bool, tx: Tx) -> None:
    await templates.lock_loading(tx)
    if with_samples and await workflows.is_empty(tx):
        # The list shows what was stored last first: the first sample is to stand on top.
        for sample in reversed(load_samples()):
            definition = checked(engine, sample.definition)
            await workflows.add(tx, new_id(), definition.name, to_wire(definition))
    for document in shipped_templates():
        await templates.add(tx, _row(document))


def _row(document: JsonObject) -> NewTemplate:
    provider, category, name = (str(document[key]) for key in ("provider", "category", "name"))
    body = {key: value for key, value in document.items() if key != "id"}
    return NewTemplate(UUID(str(document["id"])), provider, category, name, body)
