"""Workflows as clients send them: bare, or with a name beside `workflow`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fastapi.openapi.models import Example

from headrace.engine.program import Engine
from headrace.engine.save import checked
from headrace.errors import InvalidDefinition, Problem
from headrace.graph.json_types import JsonObject, JsonValue

_UNDER = "workflow"

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
    """Lets the problems of a definition under `workflow` name the place where the client wrote them."""
    try:
        yield
    except InvalidDefinition as error:
        problems = [_as_sent(problem, body) for problem in error.problems]
        raise InvalidDefinition(error.message, problems) from error


def _unwrapped(body: JsonObject) -> JsonObject:
    inner = body.get(_UNDER)
    if not isinstance(inner, dict):
        return body
    return inner | {key: value for key, value in body.items() if key != _UNDER}


def _problems(engine: Engine, document: JsonValue) -> list[Problem]:
    try:
        checked(engine, document)
    except InvalidDefinition as error:
        return error.problems
    return []


def _as_sent(problem: Problem, body: JsonObject) -> Problem:
    inner = body.get(_UNDER)
    first = problem.path.replace("[", ".").partition(".")[0]
    if isinstance(inner, dict) and first not in body and problem.path:
        return replace(problem, path=f"{_UNDER}.{problem.path}")
    return problem
