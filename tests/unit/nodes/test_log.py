from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.log import MAX_DATA, Log, LogConfig

from .conftest import context

pytestmark = pytest.mark.anyio


def log(**config: JsonValue) -> LogConfig:
    return LogConfig.model_validate(config)


@pytest.mark.parametrize(
    ("level", "type", "kind", "start"),
    [
        ("debug", "info", "debug", "[DEBUG]"),
        ("info", "info", "info", "[INFO]"),
        ("warn", "info", "warn", "[WARN]"),
        ("WARNING", "info", "warn", "[WARN]"),
        ("error", "error", "error", "[ERROR]"),
    ],
)
async def test_a_line_with_its_level(level: str, type: str, kind: str, start: str) -> None:
    one = context({"city": "Dubai", "n": 2})

    assert await Log().start(one, log(level=level, message="{{city}} ${n}")) == Done(
        {"city": "Dubai", "n": 2}
    )
    assert [(line.type, line.kind, line.message) for line in one.log] == [(type, kind, f"{start} Dubai 2")]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("${rows}", "[1,2]"),
        ({"n": "${rows}", "t": "{{rows}}"}, '{"n":[1,2],"t":"1,2"}'),
        ("${gone?}", "null"),
    ],
)
async def test_data_stands_behind_the_text(data: JsonValue, shown: str) -> None:
    one = context({"rows": [1, 2]})

    await Log().start(one, log(message="Rows", data=data))

    assert [line.message for line in one.log] == [f"[INFO] Rows\n{shown}"]


async def test_data_is_cut_where_nobody_reads_it() -> None:
    one = context({"long": "x" * 50_000})

    await Log().start(one, log(data="${long}"))

    assert len(one.log[0].message) == len("[INFO] \n") + MAX_DATA + 1


async def test_a_required_value_that_is_missing_fails() -> None:
    assert await Log().start(context({}), log(message="${gone}")) == Failed(
        "'gone' does not exist.", kind="MissingReference", retryable=False
    )
