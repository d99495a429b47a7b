"""Activities kept in the database, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from headrace.graph.json_types import JsonObject
from support.api import saved, serving, settings_for, started

pytestmark = pytest.mark.anyio

SEND = "export async function send({ to }) {\n  return { success: true, to };\n}\n"
GREET = "def greet(name: str, mark='!'):\n    return f'Hello {name}{mark}'\n"


def source(text: str, language: str = "python", **more: object) -> dict[str, object]:
    return {"language": language, "source": text, **more}


def using(name: str) -> JsonObject:
    return {"name": f"uses {name}", "nodes": [{"id": "a", "type": name}]}


async def put(client: httpx.AsyncClient, name: str, body: dict[str, object]) -> str:
    response = await client.put(f"/activities/{name}", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["hash"])


async def test_an_upload_is_listed_read_and_deleted(client: httpx.AsyncClient) -> None:
    hash = await put(client, "greet", source(GREET, by="ada"))
    again = (await client.post("/activities/greet", json=source(GREET))).json()
    assert again == {"name": "greet", "hash": hash, "isNew": False, "isActive": True}
    (line,) = [one for one in (await client.get("/activities")).json()["items"] if one["origin"] == "stored"]
    assert (line["name"], line["usedBy"], line["versions"]) == ("greet", [], 1)
    assert line["active"]["hash"] == hash
    one = (await client.get("/activities/greet")).json()
    assert (one["source"], one["language"], one["entry"]) == (GREET, "python", "greet")
    assert (one["exports"], one["createdBy"], one["isActive"]) == (["greet"], "ada", True)
    assert [*one["inputSchema"]["properties"]] == ["name", "mark"]
    assert one["inputSchema"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "mark": {}},
        "required": ["name"],
    }
    assert (await client.delete("/activities/greet")).json() == {"deleted": True}
    for request in (client.get("/activities/greet"), client.delete("/activities/greet")):
        assert (await request).status_code == 404


async def test_versions_are_activated_and_rolled_back(client: httpx.AsyncClient) -> None:
    first = await put(client, "greet", source(GREET))
    second = await put(client, "greet", source(GREET + "# edited\n"))
    third = await put(client, "greet", source(GREET + "# once more\n", activate=False))
    items = (await client.get("/activities/greet/versions")).json()["items"]
    assert [(one["hash"], one["isActive"]) for one in items] == [
        (third, False),
        (second, True),
        (first, False),
    ]
    assert (await client.post("/activities/greet/rollback")).json() == {"name": "greet", "hash": first}
    done = await client.post("/activities/greet/activate", json={"hash": third[:10]})
    assert done.json() == {"name": "greet", "hash": third}
    old = await client.get("/activities/greet", params={"hash": second})
    assert (old.json()["source"], old.json()["isActive"]) == (GREET + "# edited\n", False)
    for path, body in (("activate", {"hash": "0" * 64}), ("activate", {"hash": "12345678"})):
        assert (await client.post(f"/activities/greet/{path}", json=body)).status_code == 404
    await put(client, "lone", source(GREET))
    assert (await client.post("/activities/lone/rollback")).status_code == 409


@pytest.mark.parametrize(
    ("text", "language", "line"),
    [
        ("def greet(name):\n    x = (1\n    return x\n", "python", "line 2"),
        ("def greet(name):\nreturn 1\n", "python", "line 2"),
        ("export function greet() {\n  let = = 1;\n}", "javascript", "line 2"),
    ],
)
async def test_bad_syntax_is_refused_with_its_line(
    client: httpx.AsyncClient, text: str, language: str, line: str
) -> None:
    response = await client.put("/activities/greet", json=source(text, language))
    assert response.status_code == 422
    (detail,) = response.json()["details"]
    assert detail["path"] == "source"
    assert line in detail["message"]
    assert (await client.get("/activities/greet")).status_code == 404


async def test_a_missing_export_is_named(client: httpx.AsyncClient) -> None:
    response = await client.put("/activities/send", json=source(SEND, "javascript", entry="deliver"))
    assert response.status_code == 422
    (detail,) = response.json()["details"]
    assert (detail["path"], detail["message"]) == ("entry", "it exports no function 'deliver'")
    assert detail["hint"] == "it exports send: name the entry"
    two = await client.put("/activities/x", json=source("def a(): ...\ndef b(): ...\n"))
    assert two.json()["details"][0]["message"] == "it exports no function 'x'"
    none = await client.put("/activities/x", json=source("y = 1\n"))
    assert none.json()["details"][0]["hint"] == "write one, or export it"


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("delay", source("def delay(): ..."), 409),
        ("1st", source("def f(): ..."), 422),
        ("greet", source("echo", "bash"), 422),
        ("greet", {"language": "python"}, 422),
        ("greet", source(GREET, colour="red"), 422),
        ("greet", source("x = '\0'\n" + GREET), 422),
        ("greet", source("#" * (1 << 20) + GREET), 413),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    client: httpx.AsyncClient, name: str, body: dict[str, object], status: int
) -> None:
    response = await client.put(f"/activities/{name}", json=body)
    assert response.status_code == status, response.text
    assert response.json()["statusCode"] == status


async def test_what_a_workflow_uses_is_deleted_only_by_force(client: httpx.AsyncClient) -> None:
    await put(client, "greet", source(GREET))
    await saved(client, using("greet"))
    refused = await client.delete("/activities/greet")
    assert (refused.status_code, "'uses greet'" in refused.json()["message"]) == (409, True)
    assert (await client.delete("/activities/greet", params={"force": True})).status_code == 200


async def test_a_stored_activity_is_in_the_palette_at_once(client: httpx.AsyncClient) -> None:
    await put(client, "send", source(SEND, "javascript"))
    items = (await client.get("/node-types")).json()["items"]
    (kind,) = [one for one in items if one["type"] == "send"]
    assert (kind["origin"], kind["name"], kind["branching"]) == ("stored", "send", False)
    assert kind["configSchema"]["required"] == ["to"]
    assert next(one for one in items if one["type"] == "delay")["origin"] == "built-in"
    valid = await client.post("/workflows/validate", json=using("send"))
    assert valid.json()["valid"], valid.text


async def test_only_an_administrator_uploads_and_trusts(database_url: str, redis_url: str) -> None:
    settings = settings_for(database_url, redis_url, HEADRACE_API_KEYS="viewer:v,operator:o,admin:a")
    trust = "/projects/default/settings"
    async with serving(settings) as client:
        for key, status in (("v", 403), ("o", 403), ("a", 200)):
            headers = {"X-API-Key": key}
            done = await client.put("/activities/greet", json=source(GREET), headers=headers)
            assert done.status_code == status
            done = await client.put(trust, json={"activitiesTrusted": True}, headers=headers)
            assert done.status_code == status
            assert (await client.get("/activities", headers=headers)).status_code == 200


async def test_activities_are_not_trusted_until_somebody_says_so(client: httpx.AsyncClient) -> None:
    trust = "/projects/default/settings"
    assert (await client.get(trust)).json() == {"activitiesTrusted": False}
    for trusted in (True, False):
        assert (await client.put(trust, json={"activitiesTrusted": trusted})).status_code == 200
        assert (await client.get(trust)).json() == {"activitiesTrusted": trusted}


async def test_a_run_says_which_versions_it_uses(client: httpx.AsyncClient) -> None:
    first = await put(client, "greet", source(GREET))
    workflow_id = await saved(client, using("greet"))
    run_id = await started(client, workflow_id, {"name": "Ada"})
    await put(client, "greet", source(GREET + "# edited\n"))
    detail = (await client.get(f"/runs/{run_id}")).json()
    assert detail["activities"] == {"greet": first}
    other = await started(client, await saved(client, using("noop")))
    assert (await client.get(f"/runs/{other}")).json()["activities"] == {}


async def test_each_project_has_its_own(client: httpx.AsyncClient) -> None:
    shop = {"project": "shop"}
    done = await client.put("/activities/greet", json=source(GREET), params=shop)
    assert done.status_code == 200
    assert (await client.get("/activities/greet")).status_code == 404
    assert (await client.get("/activities/greet", params=shop)).status_code == 200
    names = [one["name"] for one in (await client.get("/activities", params=shop)).json()["items"]]
    assert names == ["greet"]
    assert (await client.post("/activities/greet/rollback", params=shop)).status_code == 409
    trusted = {"activitiesTrusted": True}
    assert (await client.put("/projects/shop/settings", json=trusted)).json() == trusted
    assert (await client.get("/projects/default/settings")).json() == {"activitiesTrusted": False}
    assert (await client.put("/projects/No!/settings", json=trusted)).status_code == 422
    assert (await client.get("/activities", params={"project": "No!"})).status_code == 422
    assert (await client.delete("/activities/greet", params=shop)).status_code == 200
