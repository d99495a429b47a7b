"""`headrace secret`: what only the nodes of a project may know."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import quote

import typer

from headrace.cli.answers import SecretList, read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table, say, show_time
from headrace.graph.project import DEFAULT_PROJECT

app = typer.Typer(help="Keep secrets of a project; nodes name them ${secrets.NAME}.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As nodes name it.")]
Project = Annotated[str, typer.Option("--project", help="Whose secret.")]


@app.command("set")
def set_(name: Name, project: Project = DEFAULT_PROJECT, url: Url = "", as_json: AsJson = False) -> None:
    """Keep a secret: asked for, or read from stdin, so that it is in no history of commands."""
    value = typer.prompt("Value", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    with open_client(url) as client:
        answer = client.put(_path(project, name), {"value": value})
    if as_json:
        print_json(answer)
    else:
        say(f"Kept {name} of project {project}")


@app.command("list")
def list_(project: Project = DEFAULT_PROJECT, url: Url = "", as_json: AsJson = False) -> None:
    """List the names of a project's secrets."""
    with open_client(url) as client:
        answer = client.get(_path(project))
    if as_json:
        print_json(answer)
        return
    rows = ((one.name, show_time(one.updated_at)) for one in read(SecretList, answer).items)
    print_table(("name", "changed"), rows, "No secrets yet.")


@app.command()
def delete(name: Name, project: Project = DEFAULT_PROJECT, url: Url = "", as_json: AsJson = False) -> None:
    """Forget a secret; nodes that name it fail from now on."""
    with open_client(url) as client:
        client.delete(_path(project, name))
    if as_json:
        print_json({"name": name, "deleted": True})
    else:
        say(f"Deleted {name} of project {project}")


def _path(project: str, name: str = "") -> str:
    return f"/projects/{quote(project, safe='')}/secrets" + (f"/{quote(name, safe='')}" if name else "")
