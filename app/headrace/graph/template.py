"""Values in a node's settings: `{{ path }}` becomes text, `${ path }` keeps its JSON type.

A path is dotted, with `[n]` for items and `["a.b"]` or `['a.b']` for keys with dots: `data.rows[0].name`.
Its first part is looked up in the node's own input; only if the input has no such key, among the names
`input` (the run's), `nodes`, `parents`, `run`, `vars`, `item`, `index`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from headrace.errors import BadExpression, MissingReference, Problem
from headrace.graph.coercion import MISSING, Missing, number_text, own_property, text_of
from headrace.graph.json_types import JsonValue

__all__ = [
    "MISSING",
    "SECRETS",
    "Missing",
    "Rendered",
    "Scope",
    "lookup",
    "output_references",
    "parent_references",
    "references",
    "render",
    "render_json",
    "resolve",
    "secret_references",
]

MAX_DEPTH = 200

SECRETS = "secrets"
"""What its project's secrets are called. No input can stand in for them."""

_PART = re.compile(r"""\.?(?:\[(?:([0-9]+)|"([^"]*)"|'([^']*)')\]|([^.\[\]]+))""")
_BRACES = re.compile(r"\{\{([^{}]*)\}\}")
_JSON_TOKEN = re.compile(r'\{\{([^{}]*)\}\}|\\["\\]|"')
_DOLLAR = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Scope:
    """What paths can name. input: the node's own input. names: the run's `input`, `nodes`, `parents`, ..."""

    input: JsonValue
    names: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text, and the paths in it that name nothing (each once, in order of appearance)."""

    text: str
    missing: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    """The keys of a path; () if it is none. `\\"` is a quote of a path inside a JSON string."""
    rest = path.replace('\\"', '"')
    parts: list[str] = []
    position = 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None:
            return ()
        parts.append(next(group for group in match.groups() if group is not None))
        position = match.end()
    return tuple(parts)


def _walk(parts: tuple[str, ...], value: JsonValue | Missing) -> JsonValue | Missing:
    for part in parts:
        value = own_property(value, part)
    return value


def lookup(path: str, value: JsonValue) -> JsonValue | Missing:
    """What the path names in the value: own keys and items only, `length` is not special."""
    parts = _parts(path.strip())
    return _walk(parts, value) if parts else MISSING


def _find(path: str, scope: Scope) -> JsonValue | Missing:
    parts = _parts(path)
    if not parts:
        return MISSING
    if parts[0] == SECRETS and SECRETS in scope.names:
        return _walk(parts[1:], scope.names[SECRETS])
    if own_property(scope.input, parts[0]) is not MISSING:
        return _walk(parts, scope.input)
    return _walk(parts[1:], scope.names.get(parts[0], MISSING))


class _Fill:
    """Replaces placeholders of one template and remembers which named nothing."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._missing: dict[str, None] = {}

    def value(self, raw: str) -> JsonValue | Missing:
        path = raw.strip()
        found = _find(path, self._scope)
        if found is MISSING:
            self._missing[path] = None
        return found

    def rendered(self, text: str) -> Rendered:
        return Rendered(text, tuple(self._missing))


def render(text: str, scope: Scope) -> Rendered:
    """Fills in each `{{ path }}` as JavaScript's `String(value)` would; null and what is missing give ''."""
    fill = _Fill(scope)
    return fill.rendered(_BRACES.sub(lambda match: text_of(fill.value(match[1])), text))


def render_json(text: str, scope: Scope) -> Rendered:
    """Fills in each `{{ path }}` of a JSON text so that it stays JSON, whatever the values hold.

    Inside a string of the template a value becomes escaped text; elsewhere it is inserted as JSON,
    and what is missing as null: `{"age": {{age}}, "name": "{{name}}", "tags": {{tags}}}`.
    """
    fill = _Fill(scope)
    in_string = False

    def replace(match: re.Match[str]) -> str:
        nonlocal in_string
        if match[1] is None:
            in_string ^= match[0] == '"'
            return match[0]
        value = fill.value(match[1])
        return _json_text(text_of(value))[1:-1] if in_string else _json_text(value)

    return fill.rendered(_JSON_TOKEN.sub(replace, text))


def _json_text(value: JsonValue | Missing) -> str:
    if value is MISSING:
        return "null"
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:  # JSON has no NaN and no Infinity: null, as JSON.stringify writes them
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, ensure_ascii=False)


def resolve(value: JsonValue, scope: Scope) -> JsonValue:
    """Fills in each `${ path }` in strings, lists and objects (in values, not in keys).

    Alone in a string it keeps the JSON type. Inside a longer string a string is inserted as it is and
    anything else as JSON. `$${` gives `${`; `${path?}` may be missing and is null then.

    Raises MissingReference with the path, and BadExpression if the value is nested beyond 200 levels.
    """
    return _map_strings(value, lambda text: _resolve_text(text, scope), MAX_DEPTH)


def _map_strings(value: JsonValue, change: Callable[[str], JsonValue], levels: int) -> JsonValue:
    if isinstance(value, str):
        return change(value)
    if not isinstance(value, (list, dict)):
        return value
    if levels == 0:
        raise BadExpression(f"The value is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, list):
        return [_map_strings(item, change, levels - 1) for item in value]
    return {key: _map_strings(item, change, levels - 1) for key, item in value.items()}


def _resolve_text(text: str, scope: Scope) -> JsonValue:
    alone = _DOLLAR.fullmatch(text)
    if alone is not None and alone[1] is not None:
        return _required(alone[1], scope)
    return _DOLLAR.sub(lambda match: _inline(match[1], scope), text)


def _inline(raw: str | None, scope: Scope) -> str:
    if raw is None:
        return "${"
    value = _required(raw, scope)
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    return _json_text(value)


def _required(raw: str, scope: Scope) -> JsonValue:
    path = raw.strip()
    found = _find(path.removesuffix("?").rstrip(), scope)
    if found is not MISSING:
        return found
    if path.endswith("?"):
        return None
    raise MissingReference(f"'{path}' does not exist.")


def references(value: JsonValue) -> frozenset[str]:
    """The ids of the nodes that a config names as `nodes.<id>`, in `{{}}` or `${}`, anywhere in it."""
    return _named(value, "nodes")


def output_references(value: JsonValue) -> frozenset[str]:
    """The ids of the nodes whose output must be there: named as `nodes.<id>.output`, not as `${path?}`."""
    raw = (
        one.strip() for text in _strings(value) for one in (*_BRACES.findall(text), *_DOLLAR.findall(text))
    )
    paths = (_parts(path) for path in raw if not path.endswith("?"))
    return frozenset(parts[1] for parts in paths if len(parts) > 2 and parts[::2][:2] == ("nodes", "output"))


def secret_references(value: JsonValue) -> frozenset[str]:
    """The names of the secrets that a config names as `secrets.<name>`."""
    return _named(value, SECRETS)


def parent_references(value: JsonValue) -> frozenset[str]:
    """The ids of the nodes that a config names as `parents.<id>`."""
    return _named(value, "parents")


def uses(value: JsonValue, root: str) -> bool:
    """Whether a config names something below `root`, as `vars`, in `{{}}` or `${}`, anywhere in it."""
    paths = (path for text in _strings(value) for path in _paths(text))
    return any(_parts(path)[:1] == (root,) for path in paths)


def unknown_roots(value: JsonValue, known: Sequence[str], path: str) -> list[Problem]:
    """A problem for each name that a `${ path }` in the value begins with and that is never there."""
    paths = {
        raw.strip().removesuffix("?").rstrip() for text in _strings(value) for raw in _DOLLAR.findall(text)
    }
    hint = f"known: {', '.join(known)}"
    return [
        Problem(path, f"`${{{one}}}` names nothing", hint)
        for one in sorted(paths - {""})
        if _parts(one)[:1] not in [(name,) for name in known]
    ]


def _named(value: JsonValue, root: str) -> frozenset[str]:
    paths = (_parts(path) for text in _strings(value) for path in _paths(text))
    return frozenset(parts[1] for parts in paths if len(parts) > 1 and parts[0] == root)


def _paths(text: str) -> Iterator[str]:
    for raw in _BRACES.findall(text):
        yield raw.strip()
    for raw in _DOLLAR.findall(text):
        yield raw.strip().removesuffix("?").rstrip()


def _strings(value: JsonValue) -> Iterator[str]:
    stack = [value]
    while stack:
        match stack.pop():
            case str() as text:
                yield text
            case list() as items:
                stack.extend(items)
            case dict() as fields:
                stack.extend(fields.values())
