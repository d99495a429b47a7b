"""Sources of stored activities, read as text."""

from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonObject
from headrace.nodes.stored_source import ANYTHING, as_script, entry_of, input_schema

SCRIPTS = {
    "export async function send(x) {}": "async function send(x) {}",
    "export function send() {}": "function send() {}",
    "  export const send = async (x) => x;": "  const send = async (x) => x;",
    "export default async function send(x) {}": "async function send(x) {}",
    "export default function* send(x) {}": "function* send(x) {}",
    "export default async (x) => x;": "module.exports.default = async (x) => x;",
    "export default function (x) {}": "module.exports.default = function (x) {}",
    "const a = 1;\nexport {\n  a,\n};\nlet b;": "const a = 1;\n\n\n\nlet b;",
    "exports.send = async (x) => x;": "exports.send = async (x) => x;",
    "const exported = 1; // export function": "const exported = 1; // export function",
}


@pytest.mark.parametrize(("source", "script"), SCRIPTS.items())
def test_a_module_becomes_a_script_line_by_line(source: str, script: str) -> None:
    assert as_script("javascript", source) == script
    assert source.count("\n") == script.count("\n")


def test_python_stays_as_it_is() -> None:
    assert as_script("python", "export = 1") == "export = 1"


@pytest.mark.parametrize(
    ("exports", "wanted", "entry"),
    [
        (("send", "other"), None, "send"),
        (("send", "other"), "other", "other"),
        (("send",), "other", None),
        (("lone",), None, "lone"),
        (("one", "two"), None, None),
        (("one", "main"), None, "main"),
        (("default", "one"), None, "default"),
        ((), None, None),
    ],
)
def test_the_entry_is_the_wanted_one_or_the_obvious_one(
    exports: tuple[str, ...], wanted: str | None, entry: str | None
) -> None:
    assert entry_of("send", exports, wanted) == entry


def _schema(*required: str, **properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {**properties}, "required": [*required]}


PYTHON: dict[str, JsonObject] = {
    "def f(to: str, n: int = 1, *, ok: bool): ...": _schema(
        "to", "ok", to={"type": "string"}, n={"type": "integer"}, ok={"type": "boolean"}
    ),
    "async def f(a, /, b: list[str] = ()): ...": _schema("a", a={}, b={"type": "array"}),
    "def f(x: 'Order', y: float | None = None): ...": _schema("x", x={}, y={}),
    "def f(*, a=1, b): ...": _schema("b", a={}, b={}),
    "def f(): ...": _schema(),
    "def f(task_input): ...": ANYTHING,
    "def f(**all): ...": ANYTHING,
}


@pytest.mark.parametrize(("source", "schema"), PYTHON.items())
def test_python_says_what_it_takes(source: str, schema: JsonObject) -> None:
    assert input_schema("python", f"def g(): ...\n{source}", "f") == schema


JAVASCRIPT: dict[str, JsonObject] = {
    "export async function f({ to, subject, body = '' }) {}": _schema(
        "to", "subject", to={}, subject={}, body={}
    ),
    "exports.f = async ({ a, b: c }) => a + c;": _schema("a", "b", a={}, b={}),
    "const f = async function ({ a }) {};": _schema("a", a={}),
    "module.exports = { f: ({ a }) => a };": _schema("a", a={}),
    "function f(input) {}": ANYTHING,
    "function f({ ...rest }) {}": ANYTHING,
    "function g({ a }) {}\nfunction f() {}": ANYTHING,
}


@pytest.mark.parametrize(("source", "schema"), JAVASCRIPT.items())
def test_javascript_says_what_it_takes_apart(source: str, schema: JsonObject) -> None:
    assert input_schema("javascript", source, "f") == schema
