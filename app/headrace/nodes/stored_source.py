"""Sources of stored activities, read as text: their module syntax, their entry, what the entry takes.

Nothing here runs anything. That a source is a program at all, a sandbox has found out before.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from headrace.graph.json_types import JsonObject, JsonValue

ANYTHING: JsonObject = {"type": "object"}
"""The schema of an entry that takes one value, or whatever names it is given."""

WHOLE = ("task_input", "input")
"""A lone parameter of such a name gets everything as one value."""

_EXPORT_DEFAULT = re.compile(
    r"^([ \t]*)export[ \t]+default[ \t]+(?!(?:async[ \t]+)?function\b[ \t*]*[\w$])", re.M
)
_EXPORT = re.compile(
    r"^([ \t]*)export[ \t]+(?:default[ \t]+)?(?=(?:async|function|const|let|var|class)\b)", re.M
)
_EXPORT_LIST = re.compile(r"^[ \t]*export[ \t]*\{[^}]*\}[ \t]*;?", re.M)
_DESTRUCTURED = (
    r"(?:function\s+{0}\s*|\b{0}\s*[=:]\s*(?:async\s*)?(?:function\s*\w*\s*)?)\(\s*\{{([^{{}}()]*)\}}\s*\)"
)
_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


def as_script(language: str, source: str) -> str:
    """JavaScript without the word `export`, which only modules know; lines stay where they are."""
    if language != "javascript":
        return source
    script = _EXPORT_DEFAULT.sub(r"\1module.exports.default = ", source)
    script = _EXPORT.sub(r"\1", script)
    return _EXPORT_LIST.sub(lambda found: "\n" * found[0].count("\n"), script)


def entry_of(name: str, exports: Sequence[str], wanted: str | None) -> str | None:
    """The function to call: the wanted one, else the activity's namesake, else the only one; None without."""
    if wanted is not None:
        return wanted if wanted in exports else None
    if name in exports:
        return name
    named = [one for one in ("main", "default") if one in exports]
    return exports[0] if len(exports) == 1 else next(iter(named), None)


def input_schema(language: str, source: str, entry: str) -> JsonObject:
    """A JSON Schema of what the entry takes, as far as its text says."""
    if language == "python":
        return _python_schema(source, entry)
    found = re.search(_DESTRUCTURED.format(re.escape(entry)), source)
    names = [part.partition("=") for part in found[1].split(",")] if found else []
    given = {name.partition(":")[0].strip(): bool(default) for name, default, _ in names if name.strip()}
    if not given or any(not name.isidentifier() for name in given):
        return ANYTHING
    return _object(
        {name: {} for name in given}, [name for name, is_optional in given.items() if not is_optional]
    )


def _python_schema(source: str, entry: str) -> JsonObject:
    tree = ast.parse(source)
    functions = (one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    arguments = next(one.args for one in functions if one.name == entry)
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if arguments.kwarg or (len(names) == 1 and names[0].arg in WHOLE):
        return ANYTHING
    properties: dict[str, JsonValue] = {one.arg: _type(one.annotation) for one in names}
    return _object(properties, list(_required(arguments)))


def _required(arguments: ast.arguments) -> Iterator[str]:
    by_place = [*arguments.posonlyargs, *arguments.args]
    yield from (one.arg for one in by_place[: len(by_place) - len(arguments.defaults)])
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            yield one.arg


def _type(annotation: ast.expr | None) -> JsonObject:
    base = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    known = _TYPES.get(base.id) if isinstance(base, ast.Name) else None
    return {"type": known} if known else {}


def _object(properties: dict[str, JsonValue], required: Sequence[str]) -> JsonObject:
    return {"type": "object", "properties": properties, "required": [*required]}
