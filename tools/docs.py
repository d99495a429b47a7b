"""Writes the generated parts of docs/ anew, between their marker comments: `make docs`."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic.fields import FieldInfo
from sqlalchemy import Column, make_url
from sqlmodel import SQLModel

from headrace.api.main import create_app
from headrace.config import Settings
from headrace.graph.states import mermaid
from headrace.nodes.base import Config, NodeType
from headrace.nodes.builtin import builtin
from headrace.store.all_tables import MODULES

DOCS = Path(__file__).resolve().parent.parent / "docs"
POSTGRESQL = make_url("postgresql+asyncpg://").get_dialect()()


def settings_table() -> str:
    """One row a setting: its name in the environment, its default, its meaning."""
    lines = ["| name | default | meaning |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        lines.append(f"| `{field.validation_alias}` | {default(field)} | {field.description} |")
    return "\n".join(lines)


def default(field: FieldInfo) -> str:
    """The default as one writes it in an environment; empty for an empty text."""
    value = field.default
    text = (
        "1" if value is True else "0" if value is False else f"{value:g}" if is_number(value) else str(value)
    )
    return f"`{text}`" if text else ""


def is_number(value: object) -> bool:
    return isinstance(value, float | int)


def state_diagram() -> str:
    return f"```mermaid\n{mermaid()}```"


def tables_list() -> str:
    """Each table with its meaning and its columns, in the order of the code."""
    return "\n\n".join(one_table(row) for module in MODULES for row in rows_of(module))


def rows_of(module: ModuleType) -> list[type[SQLModel]]:
    """The tables that a module describes; those that it only mentions are not its own."""
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, SQLModel)]
    return [one for one in found if one.__module__ == module.__name__]


def one_table(row: type[SQLModel]) -> str:
    table = SQLModel.metadata.tables[str(row.__tablename__)]
    meaning = " ".join((row.__doc__ or "").split())
    columns = [f"| `{column.name}` | {kind(column)} | {remark(column)} |" for column in table.columns]
    return "\n".join(
        [f"### `{table.name}`", "", meaning, "", "| column | type | |", "|---|---|---|", *columns]
    )


def kind(column: Column[object]) -> str:
    return column.type.compile(dialect=POSTGRESQL).lower()


def remark(column: Column[object]) -> str:
    """What a reader must know beside the type: the key, what it refers to, whether it may be null."""
    remarks = ["key"] if column.primary_key else ["may be null"] if column.nullable else []
    remarks += [f"of `{key.column.table.name}`" for key in sorted(column.foreign_keys, key=str)]
    return ", ".join(remarks)


def endpoints() -> str:
    """Every endpoint by its subject; addresses that do the same stand together."""
    # Nothing connects before it serves, but the addresses must look like ones.
    somewhere = Settings.model_validate(
        {"DATABASE_URL": "postgresql://here/one", "REDIS_URL": "redis://here"}
    )
    subjects: dict[str, dict[tuple[str, str, str], list[str]]] = {}
    for path, operations in create_app(somewhere).openapi()["paths"].items():
        for method, operation in operations.items():
            meaning = " ".join(operation["description"].split("\n\n")[0].split())
            action = (method.upper(), meaning, parameters(operation.get("parameters", [])))
            paths = subjects.setdefault(operation["tags"][0], {}).setdefault(action, [])
            paths.append(f"`{path}`")
    return "\n\n".join(one_subject(name, actions) for name, actions in subjects.items())


def parameters(given: Iterable[Mapping[str, str]]) -> str:
    """What stands in the query or in a header."""
    names = {"query": "?{}", "header": "{}"}
    return " ".join(f"`{names[one['in']].format(one['name'])}`" for one in given if one["in"] in names)


def one_subject(name: str, actions: Mapping[tuple[str, str, str], Sequence[str]]) -> str:
    lines = [f"### {name.capitalize()}", "", "| | address | what | parameters |", "|---|---|---|---|"]
    for (method, meaning, given), paths in actions.items():
        lines.append(f"| {method} | {'<br>'.join(paths)} | {meaning} | {given} |")
    return "\n".join(lines)


def commands() -> str:
    """What typer says about each command."""
    program = [sys.executable, "-m", "typer", "headrace.cli.main", "utils", "docs", "--name", "headrace"]
    text = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    text = re.sub("^#", "##", html.unescape(text).strip(), flags=re.MULTILINE)
    text = re.sub(r"^\* `--(?:help|install-completion|show-completion)`.*\n?", "", text, flags=re.MULTILINE)
    # Lists of commands cut their texts short, and each command has its own section; some lists are empty now.
    text = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n?)+", "", text)
    text = re.sub(r"\*\*Options\*\*:\n\n(?!\*)", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def node_types() -> str:
    """Each node type: what it does, the labels of its out-edges, its settings."""
    return "\n\n".join(one_node_type(kind) for kind in builtin())


def one_node_type(kind: NodeType[Config]) -> str:
    names = " or ".join(f"`{name}`" for name in (kind.type, *kind.aliases))
    schema = kind.config_model.model_json_schema()
    lines = [f"### {names}", "", kind.description]
    if kind.branching:
        lines += ["", "Its out-edges may carry a branch label."]
    nested = schema.get("$defs", {})
    lines += rows(schema, nested)
    for place, inner in inner_settings(schema, nested):
        lines += ["", f"In {place}:", *rows(inner, nested)]
    return "\n".join(lines)


def rows(schema: Mapping[str, Any], nested: Mapping[str, Any]) -> list[str]:
    """The table of an object's settings; nothing for one without."""
    if not schema["properties"]:
        return []
    lines = ["", "| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        # The default of an object is that of its settings, which have their own table.
        usual = "" if named(field) in nested else shown(field.get("default"))
        lines.append(f"| `{name}` | {shape(field)} | {usual} | {field.get('description', '')} |")
    return lines


def inner_settings(
    schema: Mapping[str, Any], nested: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Any]]:
    """The objects inside of settings, with where they stand: `cases[].predicates[]`."""
    for name, field in schema["properties"].items():
        inner = nested.get(named(field.get("items", field)), {})
        if "properties" in inner:
            place = f"{above}{name}[]" if "items" in field else f"{above}{name}"
            yield f"`{place}`", inner
            yield from inner_settings(inner, nested, f"{place}.")


def named(field: Mapping[str, Any]) -> str:
    """The definition that a setting refers to; empty for none."""
    return str(field.get("$ref", "")).rpartition("/")[2]


def shape(field: dict[str, Any]) -> str:
    """The JSON type of a setting, in a word or two."""
    if "anyOf" in field:
        return " or ".join(shape(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {shape(field['items'])}" if field.get("items") else "list"
    if "$ref" in field and named(field) != "JsonValue":
        return "object"
    return str(field.get("type", "any"))


def shown(value: object) -> str:
    return "" if value in (None, "", [], {}) else f"`{json.dumps(value)}`"


PARTS: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "settings": (DOCS / "reference" / "settings.md", settings_table),
    "states": (DOCS / "discussions" / "state-machine.md", state_diagram),
    "endpoints": (DOCS / "reference" / "http-api.md", endpoints),
    "commands": (DOCS / "reference" / "cli.md", commands),
    "node-types": (DOCS / "reference" / "node-types.md", node_types),
    "tables": (DOCS / "reference" / "database.md", tables_list),
}


def renewed(text: str, name: str, part: str) -> str:
    """The text with the part between its markers replaced; raises ValueError when it has no such markers."""
    start, end = f"<!-- begin {name}: written by `make docs` -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    new, count = pattern.subn(lambda _: f"{start}\n{part}\n{end}", text)
    if count != 1:
        raise ValueError(f"the part '{name}' has {count} places")
    return new


def main() -> None:
    for name, (path, part) in PARTS.items():
        path.write_text(renewed(path.read_text(), name, part()))


if __name__ == "__main__":
    main()
