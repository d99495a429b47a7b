"""Finding and saving workflows by what people call them."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from headrace.cli.answers import Saved, WorkflowLine, read
from headrace.cli.client import Client
from headrace.cli.errors import WrongUse, show_problem
from headrace.cli.output import complain
from headrace.errors import NotFound, Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.project import DEFAULT_PROJECT

_PAGE = 1000


def all_workflows(client: Client, project: str = "") -> list[WorkflowLine]:
    """Every workflow, or every one of a project, last changed first."""
    found: list[WorkflowLine] = []
    of_project = {"project": project} if project else {}
    while True:
        query: dict[str, str | int] = {"limit": _PAGE, "offset": len(found), **of_project}
        page = read(list[WorkflowLine], client.get("/workflows", query))
        found += page
        if len(page) < _PAGE:
            return found


def workflow_id(client: Client, name: str, project: str = "") -> str:
    """The id that `name` is, or the id of the one workflow with this name. Raises NotFound, WrongUse.

    project: where to look for it; '' for everywhere.
    """
    return name if is_id(name) else id_of("workflow", name, ids_by_name(client, name, project))


def workflow_names(client: Client) -> dict[str, str]:
    """The names of all workflows by their ids."""
    return {line.id: line.name for line in all_workflows(client)}


def save(client: Client, definition: JsonObject, project: str = "") -> str:
    """Saves as the next version of its project's workflow with this name, or as a new one; returns its id.

    project: '' for the one that the definition names, or else the default one.

    Raises Refused with the definition's problems, WrongUse when several workflows have the name.
    """
    name = str(definition["name"])
    owner = project or str(definition.get("project") or DEFAULT_PROJECT)
    ids = ids_by_name(client, name, owner)
    if not ids:
        return create(client, definition, project)
    return update(client, id_of("workflow", name, ids), definition)


def update(client: Client, workflow_id: str, definition: JsonObject) -> str:
    """Saves the next version of a workflow; returns its id. Raises NotFound, Refused."""
    return _saved(client.put(f"/workflows/{workflow_id}", definition))


def create(client: Client, definition: JsonObject, project: str = "") -> str:
    """Saves a new workflow, for a project if one is named; returns its id. Raises Refused."""
    query = "?" + urlencode({"project": project}) if project else ""
    return _saved(client.post(f"/workflows{query}", definition))


def import_(client: Client, format: str, definition: JsonObject, project: str = "") -> str:
    """Creates a new workflow from a definition of another system; returns its id. Raises Refused."""
    query = urlencode({"format": format} | ({"project": project} if project else {}))
    return _saved(client.post(f"/workflows/import?{query}", definition))


def ids_by_name(client: Client, name: str, project: str = "") -> list[str]:
    return [one.id for one in all_workflows(client, project) if one.name == name]


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _saved(answer: JsonValue) -> str:
    """The id of what was saved; its notes and warnings go to stderr."""
    saved = read(Saved, answer)
    for word, told in (("Note", saved.notes), ("Warning", saved.warnings)):
        for one in told:
            complain(f"{word}: {show_problem(Problem(one.path, one.message, one.hint))}")
    return saved.id


def id_of(kind: str, name: str, ids: list[str]) -> str:
    """The one id of what has this name. kind: what it is, as `workflow`. Raises NotFound, WrongUse."""
    if not ids:
        raise NotFound(f"There is no {kind} '{name}'; `headrace {kind} list` shows those that are there")
    if len(ids) > 1:
        raise WrongUse("\n  ".join([f"Several {kind}s are called '{name}'; name one by its id:", *ids]))
    return ids[0]
