"""Finding and saving workflows by what people call them."""

from __future__ import annotations

from uuid import UUID

from headrace.cli.answers import WorkflowLine, read
from headrace.cli.client import Client
from headrace.cli.errors import WrongUse
from headrace.errors import NotFound
from headrace.graph.json_types import JsonObject

_PAGE = 1000


def all_workflows(client: Client) -> list[WorkflowLine]:
    """Every workflow, last changed first."""
    found: list[WorkflowLine] = []
    while True:
        page = read(list[WorkflowLine], client.get("/workflows", {"limit": _PAGE, "offset": len(found)}))
        found += page
        if len(page) < _PAGE:
            return found


def workflow_id(client: Client, name: str) -> str:
    """The id that `name` is, or the id of the one workflow with this name. Raises NotFound, WrongUse."""
    if is_id(name):
        return name
    ids = ids_by_name(client, name)
    if not ids:
        raise NotFound(f"There is no workflow '{name}'; `headrace workflow list` shows those that are there")
    return _only(name, ids)


def save(client: Client, definition: JsonObject) -> str:
    """Saves as the next version of the workflow with this name, or as a new one; returns its id.

    Raises Refused with the definition's problems, WrongUse when several workflows have the name.
    """
    name = str(definition["name"])
    ids = ids_by_name(client, name)
    if not ids:
        return create(client, definition)
    found = _only(name, ids)
    client.put(f"/workflows/{found}", definition)
    return found


def create(client: Client, definition: JsonObject) -> str:
    """Saves a new workflow; returns its id. Raises Refused."""
    return read(WorkflowLine, client.post("/workflows", definition)).id


def ids_by_name(client: Client, name: str) -> list[str]:
    return [line.id for line in all_workflows(client) if line.name == name]


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _only(name: str, ids: list[str]) -> str:
    if len(ids) > 1:
        raise WrongUse("\n  ".join([f"Several workflows are called '{name}'; name one by its id:", *ids]))
    return ids[0]
