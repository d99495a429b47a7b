"""The nodes that run the code of a workflow's author: what they answer, write and refuse."""

from __future__ import annotations

import json
import re

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.errors import InvalidInput
from headrace.graph.json_types import JsonObject, JsonValue
from support.build import node, workflow
from support.drive import run_to_end, status_of, tasks_of
from support.project import ROOT, read
from support.rows import sql

pytestmark = pytest.mark.anyio


def one_node(type: str, config: JsonObject) -> JsonObject:
    return workflow([node("one", type, config=config, retry={"maxAttempts": 1})], [])


def code(language: str, source: str, **config: JsonValue) -> JsonObject:
    return one_node("code", {"language": language, "code": source, **config})


async def output(engine: Engine, document: JsonValue, run_input: JsonValue = None) -> JsonValue:
    run_id = await run_to_end(engine, document, run_input)
    task = (await tasks_of(engine, run_id))["one"]
    assert task.error is None
    return task.output


async def error(engine: Engine, document: JsonValue, run_input: JsonValue = None) -> JsonObject:
    run_id = await run_to_end(engine, document, run_input)
    found = (await tasks_of(engine, run_id))["one"].error
    assert found is not None
    return found


async def written(engine: Engine) -> list[str]:
    rows = await sql(
        engine.db, "SELECT message FROM workflow_events WHERE data ->> 'kind' = 'stdout' ORDER BY id"
    )
    return [row.message for row in rows]


async def test_the_example(engine: Engine) -> None:
    document = json.loads((ROOT / "examples/nodes/code.json").read_text())
    order: JsonObject = {
        "country": "AT",
        "lines": [{"price": "19.90", "pieces": 2}, {"price": "0.20", "pieces": 1}],
    }
    run_id = await run_to_end(engine, document, order)
    assert await status_of(engine, run_id) == "succeeded"
    tasks = await tasks_of(engine, run_id)
    assert tasks["sum"].output == {"net": "40.00"}
    assert tasks["gross"].output == {"result": {"gross": "48.00"}}
    assert tasks["letter"].output == "Please pay 48.00 EUR."
    assert await written(engine) == ["2 lines", "gross 48.00"]


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ('print("Hello from workflow!")', None),
        ("result = input['a'] + 1", 2),
        ("import math\nreturn math.floor(1.5 + input['a'])", 2),
        ("if input['a']:\n    return 'yes'\nreturn 'no'", "yes"),
        ("def main(a, b=2):\n    return [a, b]", [1, 2]),
        ("def main(input):\n    return input", {"a": 1, "z": 0}),
        ("async def main(**all):\n    return all", {"a": 1, "z": 0}),
        ("from headrace import worker_task\n@worker_task('x', retries=3)\ndef main(a):\n    return a", 1),
        (
            "from dataclasses import *\n@dataclass\nclass A:\n    b: 'int'\nresult = asdict(A(5))",
            {"b": 5},
        ),
        ("open('note', 'w').write('kept'); result = open('note').read()", "kept"),
        ("result = 'a\\0b'", "ab"),
        ("import sys\nsys.stdout.close()\nresult = 1", 1),
        ("from zoneinfo import ZoneInfo\nresult = str(ZoneInfo('Europe/Berlin'))", "Europe/Berlin"),
        ("import sys\nsys.stdout = None\nresult = 1", 1),
    ],
)
async def test_python(engine: Engine, source: str, answer: JsonValue) -> None:
    assert await output(engine, code("python", source), {"a": 1, "z": 0}) == answer


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("1 + input.a", 2),
        ("const { a } = $;\n({ b: a })", {"b": 1}),
        ("console.log('x'); return $.a", 1),
        ("const b = await Promise.resolve($.a + 1); return b", 2),
        ("var result = $.a; function f() {}", 1),
        ("function main({ a }) { return [a] }", [1]),
        ("async function main({ a }) { return a }", 1),
        ("undefined", None),
        ("({ when: new Date(0), f() {}, nan: NaN })", {"when": "1970-01-01T00:00:00.000Z", "nan": None}),
    ],
)
async def test_javascript(engine: Engine, source: str, answer: JsonValue) -> None:
    assert await output(engine, code("javascript", source), {"a": 1}) == answer


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("$.a", 1),
        ("(function () { var b = $.a; return { c: b }; })()", {"c": 1}),
        ("({ doc: { ...$, a: undefined ?? $.a } })", {"doc": {"a": 1, "rule": "1 + 1"}}),
        ("eval($.rule)", 2),
        ("$.no?.such ?? 'none'", "none"),
        ("(() => { try { throw Error('x') } catch (e) { return e.message } })()", "x"),
    ],
)
async def test_inline(engine: Engine, expression: str, answer: JsonValue) -> None:
    document = one_node("inline", {"expression": expression})
    assert await output(engine, document, {"a": 1, "rule": "1 + 1"}) == {"result": answer}


async def test_inline_takes_its_parameters_as_conductor_names_them(engine: Engine) -> None:
    config: JsonObject = {
        "evaluatorType": "graaljs",
        "expression": "$.x + 1",
        "inputParameters": {"x": "${ input.a }"},
    }
    assert await output(engine, one_node("INLINE", config), {"a": 1}) == {"result": 2}


async def test_the_examples_of_the_docs(engine: Engine) -> None:
    blocks = re.findall(r"```json\n(.*?)\n```", read("docs/howto/choose-isolation.md"), re.DOTALL)
    net, hello = ({**json.loads(one), "id": "one"} for one in blocks)
    assert await output(engine, workflow([net], []), {"lines": [{"price": 5, "pieces": 2}]}) == {"result": 10}
    assert await output(engine, workflow([hello], []), {"name": "Ada"}) == {"letters": 3}
    assert await written(engine) == ["Hello from workflow!"]


async def test_a_literal_is_its_own_answer(engine: Engine) -> None:
    assert await output(engine, code("json", '{"a": [1, "${ b }"]}')) == {"a": [1, "${ b }"]}


@pytest.mark.parametrize(
    ("language", "source", "kind", "message"),
    [
        ("python", "x = 1\n1 / 0", "ZeroDivisionError", "ZeroDivisionError: division by zero"),
        ("python", "x = 1\nx =", "SyntaxError", "SyntaxError: invalid syntax"),
        (
            "python",
            "result = {1, 2}",
            "BadOutput",
            "the output is not JSON: Object of type set is not JSON serializable",
        ),
        (
            "python",
            "result = float('nan')",
            "BadOutput",
            "the output is not JSON: Out of range float values are not JSON compliant",
        ),
        ("python", "raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("javascript", "let a\na.b", "TypeError", "TypeError: cannot read property 'b' of undefined"),
        ("javascript", "1 +", "SyntaxError", "SyntaxError: unexpected token in expression: ''"),
        ("javascript", "10n", "TypeError", "TypeError: BigInt are forbidden in JSON.stringify"),
        (
            "javascript",
            "new Promise(() => {})",
            "NeverSettled",
            "the promise never settles: nothing is left to do",
        ),
    ],
)
async def test_what_goes_wrong_is_said(
    engine: Engine, language: str, source: str, kind: str, message: str
) -> None:
    found = await error(engine, code(language, source))
    assert (found["type"], found["message"]) == (kind, message)


async def test_the_line_is_told(engine: Engine) -> None:
    found = await error(engine, code("python", "def f():\n    return [][0]\n\nf()"))
    assert found["details"] == {"line": 2}


async def test_what_was_written_before_a_failure_is_in_the_log(engine: Engine) -> None:
    await error(engine, code("python", "print('one')\nprint('two', end='')\n1 / 0"))
    await error(engine, code("javascript", "console.log('three', { a: 1 }); throw 1"))
    assert await written(engine) == ["one", "two", 'three {"a":1}']


@pytest.mark.parametrize(
    ("document", "path", "part"),
    [
        (code("typescript", "1"), "language", "no compiler"),
        (code("bash", "echo"), "language", "HEADRACE_UNSAFE_CODE=1"),
        (code("python", " "), "code", "is empty"),
        (code("json", "{a}"), "code", "is no JSON"),
        (one_node("inline", {}), "expression", "is empty"),
    ],
)
async def test_what_cannot_be_run_is_not_saved(
    engine: Engine, document: JsonObject, path: str, part: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await create_workflow(engine, document)
    (problem,) = refusal.value.problems
    assert problem.path.endswith(path)
    assert part in problem.message


async def test_bash_is_saved_where_it_was_allowed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_UNSAFE_CODE", "1")
    assert await create_workflow(engine, code("bash", "echo"))
