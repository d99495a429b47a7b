"""What a fresh database gets: the sample workflows and the API templates that come with Headrace."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import UUID

from headrace.api.shipped_templates import shipped_templates
from headrace.engine.program import Engine
from headrace.engine.save import checked
from headrace.errors import StoreUnavailable
from headrace.graph.definition import to_wire
from headrace.graph.json_types import JsonObject
from headrace.log import Log
from headrace.samples import load_samples
from headrace.store import templates, workflows
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.schema import is_current
from headrace.store.templates import NewTemplate

_PAUSE = 0.25

_log = Log("headrace.api")


async def load_samples_and_templates(engine: Engine, with_samples: bool = True) -> None:
    """Stores the samples if there is no workflow yet, and the shipped templates that are missing.

    Two processes may do it at once, and again at every start: a template that was deleted stays deleted.
    """
    await engine.db.transact(partial(_load, engine, with_samples))


async def load_once_migrated(engine: Engine, with_samples: bool) -> None:
    """Waits for PostgreSQL and its schema, then loads. A fault is logged; readiness goes on saying no."""
    while True:
        try:
            if await is_current(engine.db):
                await load_samples_and_templates(engine, with_samples)
                return
        except StoreUnavailable:
            _log.debug("load", "PostgreSQL does not answer yet")
        except Exception:  # nobody awaits this task: it must speak for itself
            _log.exception("load_failed")
            return
        await asyncio.sleep(_PAUSE)


async def _load(engine: Engine, with_samples: bool, tx: Tx) -> None:
    await templates.lock_loading(tx)
    if with_samples and await workflows.is_empty(tx):
        samples = load_samples()
        # Stored at one moment, they are listed by their ids: these rise in the order of the files.
        for workflow_id, sample in zip(sorted(new_id() for _ in samples), samples, strict=True):
            definition = checked(engine, sample.definition)
            await workflows.add(tx, workflow_id, definition.name, to_wire(definition))
    for document in shipped_templates():
        await templates.add(tx, _row(document))


def _row(document: JsonObject) -> NewTemplate:
    provider, category, name = (str(document[key]) for key in ("provider", "category", "name"))
    body = {key: value for key, value in document.items() if key != "id"}
    return NewTemplate(UUID(str(document["id"])), provider, category, name, body)
