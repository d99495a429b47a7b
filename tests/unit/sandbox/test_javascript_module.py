"""Modules in JavaScript become scripts."""

from __future__ import annotations

import time

import pytest

from headrace.sandbox.cell.javascript_module import as_script

SCRIPTS = {
    "export async function send(x) {}": "async function send(x) {}",
    "export function send() {}": "function send() {}",
    "  export const send = async (x) => x;": "  const send = async (x) => x;",
    "export default async function send(x) {}": "async function send(x) {}",
    "export default function* send(x) {}": "function* send(x) {}",
    "export default async (x) => x;": "module.exports.default = async (x) => x;",
    "export default function (x) {}": "module.exports.default = function (x) {}",
    "const a = 1;\nexport {\n  a,\n};\nlet b;": "const a = 1;\n\n\n\nlet b;",
    "export default  function send() {}": "function send() {}",
    "export default\n  async\tfunction send() {}": "\nasync\tfunction send() {}",
    "export default `\nexport const a = 1\n`;": "module.exports.default = `\nexport const a = 1\n`;",
    "const a = `${b({c: `}`})}\nexport const d`;\nexport const e = 1": (
        "const a = `${b({c: `}`})}\nexport const d`;\nconst e = 1"
    ),
    "/*\nexport { a }\n*/\nexport const b = 1": "/*\nexport { a }\n*/\nconst b = 1",
    "const a = /[`/]`/, b = 1 / 2;\nexport const c = '`' / a": (
        "const a = /[`/]`/, b = 1 / 2;\nconst c = '`' / a"
    ),
    "return /`/.test(x)\nexport const c = ')' / 1": "return /`/.test(x)\nconst c = ')' / 1",
    "const a = {x: {}};\nexport const b = 'it\\\nexport const c'": (
        "const a = {x: {}};\nconst b = 'it\\\nexport const c'"
    ),
    "export { a } from 'b';": "export { a } from 'b';",
    "export * from 'b';": "export * from 'b';",
    "exports.send = async (x) => x;": "exports.send = async (x) => x;",
    "const exported = 1; // export function": "const exported = 1; // export function",
}


@pytest.mark.parametrize(("source", "script"), SCRIPTS.items())
def test_a_module_becomes_a_script_line_by_line(source: str, script: str) -> None:
    assert as_script(source) == script
    assert source.count("\n") == script.count("\n")


MIB = 1 << 20
HOSTILE = {
    "spaces": "export default" + " " * MIB + "x",
    "lists": "/*" + "\nexport {" * (MIB // 9) + "*/\nexport const a = 1",
    "open lists": "\nexport {" * (MIB // 9),
    "empty lines": "\n" * MIB + "export",
    "comments": "export const a = 1\n" + "/*" * (MIB // 2),
    "classes": "export const a = (\n" + "/[" * (MIB // 2),
    "templates": "export const a = " + "`${" * (MIB // 3),
    "texts": "export const a = " + "'\n" * (MIB // 2),
    "braces": "export const a = " + "{" * MIB,
    "slashes": "export const a = " + "1 / " * (MIB // 4),
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_no_source_takes_longer_than_its_length_allows(source: str) -> None:
    """A second or two where each is slowest; what was quadratic took minutes."""
    began = time.process_time()
    as_script(source)
    assert time.process_time() - began < 20
