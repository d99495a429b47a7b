"""Whatever the JSON: a node answers with an outcome, and what it answers can be stored."""

from __future__ import annotations

import asyncio
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Waiting
from headrace.nodes.base import (
    Config,
    HttpError,
    HttpRequest,
    HttpResponse,
    HttpTimeout,
    NodeContext,
    NodeType,
    RefusedAddress,
)
from headrace.nodes.builtin import builtin
from headrace.nodes.guard import Guard
from headrace.nodes.http import GuardedHttp
from headrace.nodes.http_call import read_data
from headrace.nodes.transform import Operation

from .conftest import context

pytestmark = pytest.mark.anyio

PLACEHOLDERS = st.sampled_from(
    ["{{a}}", "${a}", "x ${a.b[0]} {{ input.c }}", "${gone}", "$${a}", "{{", "${", "https://h.example/{{a}}"]
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20) | PLACEHOLDERS
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
KEYS = st.sampled_from(["a", "b", "key", "value", "id"]) | TEXT
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
RULES = (
    st.sampled_from([{">": [{"var": "value"}, 5]}, {"in": ["a", {"var": "value"}]}, {"nope": []}, None])
    | VALUES
)


def rows(**columns: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[list[JsonValue]]:
    """Lists of objects that have an id and some of the columns."""
    row = st.fixed_dictionaries({"id": st.sampled_from("pqrs")}, optional=columns)
    return st.lists(row, max_size=4)


PREDICATES = rows(targetField=TEXT, validationLogic=RULES, validationConfig=VALUES)
PAIRS = rows(key=TEXT, value=SCALARS, enabled=st.booleans()) | st.dictionaries(KEYS, SCALARS, max_size=3)
SCHEMAS = (
    st.sampled_from([{"type": "object", "required": ["a"]}, {"pattern": "("}, {"$ref": "#/$defs/a"}, {}, "x"])
    | VALUES
)
COMBINER = st.sampled_from(["all", "any"])
METHODS = st.sampled_from(["GET", "post", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
CONFIGS: dict[str, st.SearchStrategy[JsonObject]] = {
    "inputText": st.fixed_dictionaries(
        {
            "fields": rows(
                key=KEYS,
                inputKind=st.sampled_from(["text", "number", "date"]),
                defaultValue=VALUES,
                validationLogic=RULES,
                validationConfig=VALUES,
            )
        }
    ),
    "decision": st.fixed_dictionaries(
        {"decisions": rows(predicates=PREDICATES, combiner=COMBINER, validationLogic=RULES)}
    ),
    "ifElse": st.fixed_dictionaries(
        {"condition": st.fixed_dictionaries({"predicates": PREDICATES, "combiner": COMBINER})}
    ),
    "apiCall": st.fixed_dictionaries(
        {},
        optional={
            "method": METHODS,
            "url": TEXT,
            "headers": PAIRS,
            "queryParams": PAIRS,
            "bodyTemplate": TEXT,
            "body": VALUES,
            "failOnError": st.booleans(),
        },
    ),
    "notification": st.fixed_dictionaries({"template": TEXT}),
    "delay": st.fixed_dictionaries({"delayType": TEXT, "delayValue": SCALARS}, optional={"delayMs": SCALARS}),
    "noop": st.just({}),
    "trigger": st.fixed_dictionaries(
        {}, optional={"inputSchema": SCHEMAS, "triggerType": st.sampled_from(["manual", "scheduled"])}
    ),
    "transform": st.fixed_dictionaries(
        {"operation": st.sampled_from(get_args(Operation))},
        optional={
            "data": VALUES,
            "expression": RULES,
            "initialValue": VALUES,
            "mergeStrategy": st.sampled_from(["deep", "shallow", "array"]),
            "sources": VALUES,
            "splitStrategy": st.sampled_from(["by_key", "by_size", "by_condition"]),
            "key": TEXT,
            "size": st.integers(1, 3),
            "paths": st.lists(TEXT, max_size=3) | VALUES,
            "template": VALUES,
        },
    ),
    "validate": st.fixed_dictionaries(
        {},
        optional={
            "data": VALUES,
            "rules": st.fixed_dictionaries(
                {},
                optional={
                    "required": st.booleans(),
                    "type": st.sampled_from(["string", "array", "object"]),
                    "minLength": st.integers(),
                    "pattern": TEXT | st.sampled_from(["(", "^(a+)+$", r"(?=x)\1"]),
                },
            ),
            "dataSchema": SCHEMAS,
            "failOnInvalid": st.booleans(),
        },
    ),
    "switch": st.fixed_dictionaries(
        {},
        optional={
            "value": VALUES,
            "cases": rows(values=st.lists(VALUES, max_size=2), when=RULES, predicates=PREDICATES)
            | st.dictionaries(KEYS, st.none() | KEYS, max_size=3),
            "default": st.booleans(),
        },
    ),
    "log": st.fixed_dictionaries(
        {}, optional={"level": st.sampled_from(["debug", "warning"]), "message": TEXT, "data": VALUES}
    ),
}
TYPES = {one.type: one for one in builtin()}


class Answering:
    """Stands for any server: answers with what it was given, or breaks with it."""

    def __init__(self, answer: HttpResponse | HttpError) -> None:
        self._answer = answer

    async def send(self, _: HttpRequest) -> HttpResponse:
        if isinstance(self._answer, HttpError):
            raise self._answer
        return self._answer


RESPONSES = st.builds(
    HttpResponse,
    status=st.integers(100, 599),
    reason=st.just("Reason"),
    headers=st.fixed_dictionaries(
        {
            "content-type": st.sampled_from(
                ["application/json", "text/plain", "x; charset=utf-16", "json;charset="]
            )
        }
    ),
    body=st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()),
)
ANSWERS: st.SearchStrategy[HttpResponse | HttpError] = RESPONSES | st.sampled_from(
    [HttpError(), HttpTimeout(), RefusedAddress()]
)


def assert_storable(value: object) -> None:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


# Types that wait for more than their time have tests of their own: what wakes them is no config.
@pytest.mark.parametrize("name", CONFIGS)
@given(data=st.data())
def test_a_node_never_raises(name: str, data: st.DataObject) -> None:
    node = TYPES[name]
    raw, given_input, answer = data.draw(CONFIGS[name] | VALUES), data.draw(VALUES), data.draw(ANSWERS)
    try:
        config = node.config_model.model_validate(raw)
    except ValidationError:
        return

    asyncio.run(assert_answers(node, config, context(given_input, Answering(answer))))


async def assert_answers(node: NodeType[Config], config: Config, one: NodeContext) -> None:
    list(node.check(config))
    list(node.check_start(config, one.input))
    outcome = await node.start(one, config)

    match outcome:
        case Done():
            assert_storable(outcome.output)
            assert outcome.branches <= set(node.branches(config))
        case Waiting():
            assert outcome.seconds > 0
            assert await node.resume(one, config) == Done(one.input)
        case Failed():
            assert_storable(outcome.as_error())
    assert_storable([line.message for line in one.log])


@given(body=st.binary(max_size=200), content_type=TEXT | st.just("application/json"))
def test_any_answer_can_be_stored(body: bytes, content_type: str) -> None:
    assert_storable(read_data(HttpResponse(200, "OK", {"content-type": content_type}, body)))


@given(url=TEXT, header=st.tuples(st.text(max_size=5), st.text(max_size=5)), params=st.tuples(TEXT, TEXT))
async def test_a_call_brings_an_answer_or_an_http_error(
    url: str, header: tuple[str, str], params: tuple[str, str]
) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    http = GuardedHttp(Guard("", ("127.0.0.1", 1)), nowhere)
    for target in (url, f"http://{url}", f"http://h.example/{url}"):
        with pytest.raises(HttpError):
            await http.send(HttpRequest("GET", target, dict([header]), params=(params,)))
    await http.aclose()
