"""Secrets in nodes: there when the node runs, and nowhere afterwards."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.sealing import Seal
from headrace.engine.secrets import SecretAt, delete_secret, put_secret, secret_names
from headrace.engine.start import StartRequest, start_run
from headrace.engine.verify import verify
from headrace.errors import InvalidInput, NotFound
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.base import HttpError
from headrace.testing import FakeHttp, process
from support.build import chain, edge, node, workflow
from support.drive import status_of, tasks_of
from support.rows import sql

pytestmark = pytest.mark.anyio

KEY = "k" * 32
TOKEN = "t0ps3cret-täken"


@pytest.fixture
def sealing(engine: Engine) -> Engine:
    return replace(engine, seal=Seal(KEY))


async def put(engine: Engine, project: str, name: str = "TOKEN", value: str = TOKEN) -> None:
    await put_secret(engine, Seal(KEY), SecretAt(project, name), value)


async def ran(
    engine: Engine, document: JsonObject, http: FakeHttp, project: str = "shop", run_input: JsonValue = None
) -> UUID:
    workflow_id = await create_workflow(engine, document, project=project)
    started = await start_run(engine, StartRequest(workflow_id, run_input))
    waiting = list(started.dispatches)
    while waiting:
        waiting += await process.deliver(engine, waiting.pop(0), http)
    return started.run_id


def calling(**config: JsonValue) -> JsonObject:
    call: JsonObject = {
        "url": "https://api.example/pay",
        "headers": {"X-Token": "${secrets.TOKEN}"},
        **config,
    }
    once: JsonObject = {"maxAttempts": 1}
    return workflow([node("call", "apiCall", config=call, retry=once)], [])


async def everything(engine: Engine) -> str:
    """All that PostgreSQL holds, but for the sealed secrets themselves."""
    names = await sql(engine.db, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    found = []
    for row in names:
        if row.tablename != "secrets":
            rows = await sql(engine.db, f'SELECT t::text AS line FROM "{row.tablename}" t')
            found += [one.line for one in rows]
    return "\n".join(found)


async def test_a_node_gets_the_secret_of_its_project(sealing: Engine) -> None:
    await put(sealing, "shop")
    await put(sealing, "bank", value="another secret")
    http = FakeHttp({"GET https://api.example/pay": {"ok": True}})
    run_id = await ran(sealing, calling(), http, run_input={"secrets": {"TOKEN": "of the caller"}})
    assert await status_of(sealing, run_id) == "succeeded"
    (request,) = http.requests
    assert request.headers["X-Token"] == TOKEN
    assert TOKEN not in await everything(sealing)


async def test_what_a_node_answers_says_and_fails_with_is_cleaned(sealing: Engine) -> None:
    await put(sealing, "shop")
    echo = FakeHttp({"GET https://api.example/pay": {"you sent": TOKEN}})
    run_id = await ran(sealing, calling(), echo)
    assert "***" in str((await tasks_of(sealing, run_id))["call"].output)
    refuse = FakeHttp({"GET https://api.example/pay": HttpError(f"who is {TOKEN}?")})
    run_id = await ran(sealing, calling(), refuse)
    assert "who is ***?" in str((await tasks_of(sealing, run_id))["call"].output)
    shown = node("show", config={"template": "the token is {{secrets.TOKEN}}"})
    run_id = await ran(sealing, workflow([shown, node("next")], [edge("show", "next")]), refuse)
    assert await status_of(sealing, run_id) == "succeeded"
    kept = await everything(sealing)
    assert "the token is ***" in kept
    assert TOKEN not in kept
    assert not await verify(sealing.db)


async def test_a_crash_is_cleaned_too(sealing: Engine, caplog: pytest.LogCaptureFixture) -> None:
    await put(sealing, "shop")

    def crash(_: object) -> JsonValue:
        raise RuntimeError(f"unexpected {TOKEN}")

    run_id = await ran(sealing, calling(), FakeHttp({"*": crash}))
    task = (await tasks_of(sealing, run_id))["call"]
    assert (task.status.value, "unexpected ***" in str(task.error)) == ("failed", True)
    assert TOKEN not in caplog.text
    assert TOKEN not in await everything(sealing)


async def test_a_kept_result_holds_no_secret(sealing: Engine) -> None:
    await put(sealing, "shop")
    document = calling()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    assert isinstance(nodes[0], dict)
    nodes[0]["cache"] = {"ttl": 600}
    await ran(sealing, document, FakeHttp({"*": {"you sent": TOKEN}}))
    (row,) = await sql(sealing.db, "SELECT count(*) AS kept FROM step_cache")
    assert row.kept == 1
    assert TOKEN not in await everything(sealing)


@pytest.mark.parametrize("template", ["${secrets.NONE}", "{{secrets.NONE}}", "a {{ secrets.NONE }}"])
async def test_a_secret_that_is_not_there_fails_the_node(sealing: Engine, template: str) -> None:
    await put(sealing, "bank", "NONE")
    http = FakeHttp({"*": {}})
    run_id = await ran(sealing, calling(headers={"X": template}), http)
    error = (await tasks_of(sealing, run_id))["call"].error
    assert isinstance(error, dict)
    assert error["type"] == "MissingSecret"
    assert error["message"] == "project shop has no secret 'NONE'"
    assert http.requests == []


async def test_without_the_key_the_node_fails_and_says_why(engine: Engine) -> None:
    await put(engine, "shop")
    for seal in (Seal(""), Seal("x" * 32)):
        run_id = await ran(replace(engine, seal=seal), calling(), FakeHttp({"*": {}}))
        error = (await tasks_of(engine, run_id))["call"].error
        assert isinstance(error, dict)
        assert error["type"] == "CannotUnseal"


async def test_a_body_gets_it_and_no_input_of_a_child_does(sealing: Engine) -> None:
    await put(sealing, "shop")
    inner = node("call", "apiCall", config={"url": "https://api.example/${item}?k=${secrets.TOKEN}"})
    body: JsonObject = {"nodes": [inner], "edges": []}
    config: JsonObject = {"items": ["a", "${secrets.TOKEN}"], "body": body}
    http = FakeHttp({"*": {}})
    run_id = await ran(sealing, workflow([node("map", "map", config=config)], []), http)
    assert await status_of(sealing, run_id) == "succeeded"
    assert len(http.requests) == 2
    assert all(TOKEN in one.url for one in http.requests)
    assert TOKEN not in await everything(sealing)


async def test_no_variable_keeps_it(sealing: Engine) -> None:
    await put(sealing, "shop")
    config = {"scope": "project", "name": "key", "operation": "set", "value": "is ${secrets.TOKEN}"}
    run_id = await ran(sealing, workflow([node("set", "setVariable", config=config)], []), FakeHttp())
    assert await status_of(sealing, run_id) == "succeeded"
    (row,) = await sql(sealing.db, "SELECT value::text AS value FROM workflow_variables")
    assert row.value == '"is ***"'
    assert TOKEN not in await everything(sealing)


async def test_only_nodes_that_name_one_cost_a_look(engine: Engine) -> None:
    """A node without secrets runs also where the table is gone."""
    await sql(engine.db, "ALTER TABLE secrets RENAME TO elsewhere")
    assert await status_of(engine, await ran(engine, chain(3), FakeHttp())) == "succeeded"


async def test_names_are_listed_and_what_is_forgotten_is_gone(sealing: Engine) -> None:
    for name in ("B", "A"):
        await put(sealing, "shop", name)
    await put(sealing, "shop", "B", "changed")
    assert [one.name for one in await secret_names(sealing, "shop")] == ["A", "B"]
    assert await secret_names(sealing, "bank") == []
    await delete_secret(sealing, SecretAt("shop", "A"))
    assert [one.name for one in await secret_names(sealing, "shop")] == ["B"]
    with pytest.raises(NotFound):
        await delete_secret(sealing, SecretAt("shop", "A"))


@pytest.mark.parametrize("value", ["", "abc", "x" * 65_537])
async def test_a_value_must_have_a_fitting_length(engine: Engine, value: str) -> None:
    with pytest.raises(InvalidInput):
        await put(engine, "shop", value=value)


@pytest.mark.parametrize("name", ["", "1A", "a-b", "a.b", "x" * 65, "a\n"])
def test_a_name_is_one_that_templates_can_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        SecretAt("shop", name)


async def test_without_a_key_nothing_is_kept(engine: Engine) -> None:
    with pytest.raises(InvalidInput) as refused:
        await put_secret(engine, Seal(""), SecretAt("shop", "A"), TOKEN)
    assert "HEADRACE_SECRET_KEY" in str(refused.value.problems[0].hint)
