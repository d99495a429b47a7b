"""`headrace workflow validate`: checks definitions without a server, against the activities of the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli import project_folder
from headrace.cli.documents import read_definition, require_valid_definition, shown, warnings_of
from headrace.cli.errors import Exit, WrongUse, describe, show_problem
from headrace.cli.offers import offers
from headrace.cli.options import AsJson
from headrace.cli.output import complain, print_json, say
from headrace.cli.project_folder import WorkflowFile, Workflows
from headrace.engine.program import Rules
from headrace.errors import InvalidDefinition
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.activity import Known, run_activity
from headrace.nodes.builtin import builtin

File = Annotated[
    Path | None,
    typer.Argument(help="A definition in JSON or YAML, in either form; - for stdin; else all of the folder."),
]


def validate(
    file: File = None, workflows: Workflows = project_folder.WORKFLOWS, as_json: AsJson = False
) -> None:
    """Check definitions without saving them; needs no server.

    It knows the activities that a worker which is started here would have.
    """
    files = [WorkflowFile(file, read_definition(file))] if file else _all(workflows)
    rules = _rules(files)
    look = _look if file else _verdict
    checked = [look(one, rules, as_json) for one in files]
    if as_json:
        print_json(checked[0] if file else [*checked])
    if not all(one["valid"] for one in checked):
        raise typer.Exit(Exit.FAILED)


def _all(folder: Path) -> list[WorkflowFile]:
    found = list(project_folder.workflow_files(folder).values())
    if not found:
        raise WrongUse(f"No workflow files found in {folder}")
    return found


def _rules(files: Sequence[WorkflowFile]) -> Rules:
    """Other processes are asked for activities only if a file names one."""
    nodes = builtin()
    if not any(one.needs(nodes) for one in files):
        return Rules(nodes)
    found = offers()
    found.complain()
    return Rules(nodes.knowing(run_activity(Known(declared=found.declarations()))))


def _verdict(file: WorkflowFile, rules: Rules, is_quiet: bool) -> JsonObject:
    """As `_look`, and tells of a definition that is not valid, as there are others."""
    try:
        return {"file": str(file.path), **_look(file, rules, is_quiet)}
    except InvalidDefinition as error:
        if not is_quiet:
            complain(f"✗ {file.path}: {describe(error)}")
        problems: list[JsonValue] = [dict(one.as_dict()) for one in error.problems]
        return {"file": str(file.path), "valid": False, "problems": problems}


def _look(file: WorkflowFile, rules: Rules, is_quiet: bool) -> JsonObject:
    """Raises InvalidDefinition."""
    definition = require_valid_definition(file.definition, rules)
    warnings = warnings_of(definition, rules)
    if not is_quiet:
        for one in warnings:
            complain(f"Warning: {show_problem(one)}")
        counts = f"{len(definition.nodes)} nodes, {len(definition.edges)} edges"
        say(f"{shown(file.path)} is valid: {counts}")
    return {
        "valid": True,
        "nodes": len(definition.nodes),
        "edges": len(definition.edges),
        "warnings": [dict(one.as_dict()) for one in warnings],
    }
