"""Workflows as clients send them: bare, or with a name beside `workflow` or `definition`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

from fastapi import Body
from fastapi.openapi.models import Example

from headrace.engine.palette import knowing_stored
from headrace.engine.program import Engine
from headrace.engine.save import checked, warnings
from headrace.errors import InvalidDefinition, Problem
from headrace.graph.json_types import JsonObject, JsonValue

_UNDER = ("workflow", "definition", "graph_config")

_FLAT: JsonObject = {
    "name": "Greeting",
    "nodes": [
        {"id": "wait", "type": "delay", "name": "Wait", "config": {"delayType": "seconds", "delayValue": 1}},
        {"id": "greet", "type": "notification", "name": "Greet", "config": {"template": "Hello {{name}}!"}},
    ],
    "edges": [{"source": "wait", "target": "greet"}],
}

_WRAPPED: JsonObject = {
    "name": "Greeting",
    "workflow": {
        "nodes": [
            {
                "id": "greet",
                "base": {
                    "id": "greet",
                    "type": "notification",
                    "name": "Greet",
                    "inputSchema": {},
                    "outputSchema": {},
                    "config": {"template": "Hello {{name}}!"},
                    "connections": [],
                },
                "position": {"x": 0, "y": 0},
            }
        ],
        "edges": [],
    },
}

EXAMPLES: dict[str, Example] = {
    "flat": Example(summary="As people write it", value=_FLAT),
    "wire": Example(summary="As the editor sends it", value=_WRAPPED),
}

FOREIGN_EXAMPLES: dict[str, Example] = {
    "graph_config": Example(
        summary="The graph_config form",
        value={
            "name": "Greeting",
            "graph_config": {
                "nodes": [
                    {"node_id": "begin", "node_type": "trigger", "config": {}},
                    {"node_id": "greet", "node_type": "notification", "config": {"message": "Hello!"}},
                ],
                "edges": [{"from": "begin", "to": "greet"}],
                "entry_node_id": "begin",
            },
        },
    )
}

Document = Annotated[JsonObject, Body(openapi_examples=EXAMPLES)]
Foreign = Annotated[JsonObject, Body(openapi_examples=FOREIGN_EXAMPLES)]
OR_YAML: dict[str, object] = {
    "requestBody": {"content": {"application/yaml": {"schema": {"type": "string"}}}},
}
"""What FastAPI cannot know: an endpoint's body may be YAML (see `headrace.api.yaml_bodies`)."""


def read(engine: Engine, body: JsonObject) -> JsonObject:
    """The definition in a body. Raises InvalidDefinition with every problem when it has no name."""
    document = _unwrapped(body)
    name = document.get("name")
    if name is None or (isinstance(name, str) and not name.strip()):
        nameless = Problem("name", "a workflow needs a name")
        raise InvalidDefinition(problems=[nameless, *_problems(engine, document)])
    return document


@contextmanager
def paths_as_sent(body: JsonObject) -> Iterator[None]:
    """Lets the problems of a definition inside the body name the place where the client wrote them."""
    try:
        yield
    except InvalidDefinition as error:
        problems = [_as_sent(problem, body) for problem in error.problems]
        raise InvalidDefinition(error.message, problems) from error


def problems_of(engine: Engine, body: JsonObject) -> list[Problem]:
    """All that keeps the definition in a body from being saved."""
    try:
        with paths_as_sent(body):
            checked(engine, read(engine, body))
    except InvalidDefinition as error:
        return error.problems
    return []


async def warnings_of(
    engine: Engine, body: JsonObject, sent: JsonObject | None = None, project: str | None = None
) -> list[Problem]:
    """What of the valid definition in a body will surprise. It may take a second: a thread looks.

    sent: what the client wrote, if that is not the body itself: paths are as there. project: whose it is.
    """
    document = _unwrapped(body)
    found = await asyncio.to_thread(warnings, await knowing_stored(engine, document, project), document)
    return [_as_sent(problem, sent or body) for problem in found]


def _unwrapped(body: JsonObject) -> JsonObject:
    under, inner = _inner(body)
    return inner | {key: value for key, value in body.items() if key != under}


def _inner(body: JsonObject) -> tuple[str, JsonObject]:
    """The key under which the definition stands, and what stands there; both empty if it stands bare."""
    for under in _UNDER:
        inner = body.get(under)
        if isinstance(inner, dict):
            return under, inner
    return "", {}


def _problems(engine: Engine, document: JsonValue) -> list[Problem]:
    try:
        checked(engine, document)
    except InvalidDefinition as error:
        return error.problems
    return []


def _as_sent(problem: Problem, body: JsonObject) -> Problem:
    under, _ = _inner(body)
    first = problem.path.replace("[", ".").partition(".")[0]
    if under and first not in body and problem.path:
        return replace(problem, path=f"{under}.{problem.path}")
    return problem
