"""The activities that come with Headrace: small ones to begin with, and to see how activities are written."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.activities.context import context
from headrace.activities.declare import Place, imported_from, worker_task
from headrace.activities.errors import Fail
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.activity_call import http
from headrace.nodes.base import HttpRequest, HttpResponse
from headrace.nodes.json_text import read_json, storable_text, stringify
from headrace.nodes.transform import text_changed
from headrace.nodes.validate import DataRules, rule_errors

Level: TypeAlias = Literal["debug", "info", "warn", "error"]
Milliseconds: TypeAlias = Annotated[int | float, Field(ge=0, le=86_400_000)]

_WORK_SECONDS = 1.0
_BUILD_SECONDS = 2.0

with imported_from(Place("built-in", "headrace")):

    @worker_task("sampleActivity")
    async def sample_activity(message: str) -> str:
        """Takes a second, and says what it processed."""
        await asyncio.sleep(_WORK_SECONDS)
        return f"Processed: {message}"

    @worker_task("buildPackage")
    async def build_package(
        packageName: str,
        version: str = "1.0.0",
        options: AnyJson = None,  # noqa: ARG001 - a builder would read them
    ) -> JsonObject:
        """Pretends to build a package, in two seconds; buildTime is in milliseconds."""
        began = time.monotonic()
        for step in range(4):
            context().heartbeat(step / 4, {"step": step + 1, "of": 4})
            await asyncio.sleep(_BUILD_SECONDS / 4)
        return {
            "success": True,
            "packageName": packageName,
            "buildTime": round((time.monotonic() - began) * 1000),
            "artifacts": [f"{packageName}-{version}.tar.gz", f"{packageName}-{version}.zip"],
        }

    @worker_task("httpRequest")
    async def http_request(
        url: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: AnyJson = None,
        timeout: Annotated[float, Field(gt=0, le=3_600_000, description="Milliseconds.")] = 30_000,
    ) -> JsonObject:
        """Makes an HTTP call. It fails without an answer, but not for an answer such as 404."""
        return _answer(await http().send(_request(url, method, headers or {}, body, timeout / 1000)))

    @worker_task("transformData")
    async def transform_data(data: AnyJson, transformation: str) -> AnyJson:
        """Changes a text: uppercase, lowercase, reverse, json-parse; or json-stringify of anything."""
        match transformation:
            case "uppercase" | "lowercase" | "reverse" | "json-parse" | "json-stringify":
                try:
                    return text_changed(transformation, data)
                except ValueError as error:
                    raise Fail(str(error), kind="InvalidJson") from error
            case _:
                return data

    @worker_task("waitFor", timeout="25h")
    async def wait_for(milliseconds: Milliseconds, reason: str | None = None) -> JsonObject:
        """Waits, in the worker; a `delay` node needs none."""
        await asyncio.sleep(milliseconds / 1000)
        return {"waited": milliseconds, "reason": reason}

    @worker_task("logMessage")
    async def log_message(level: Level, message: str, data: AnyJson = None) -> None:
        """Writes a line into the run's log: its time, its level, the message and the data."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        more = "" if data is None else f" {stringify(data)}"
        line = f"[{at}] [{level.upper()}] {message}{more}"
        context().logger.log("warning" if level == "warn" else level, line)

    @worker_task("validateData")
    async def validate_data(rules: DataRules, data: AnyJson = None) -> JsonObject:
        """Holds data against rules, and says all that is wrong: {valid, errors}."""
        errors: list[JsonValue] = [*rule_errors(rules, data)]
        return {"valid": not errors, "errors": errors}


def _request(url: str, method: str, headers: dict[str, str], body: JsonValue, seconds: float) -> HttpRequest:
    names = {name.lower() for name in headers}
    kind = {} if "content-type" in names else {"Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    return HttpRequest(method.upper(), url, {**kind, **headers}, content=content, timeout=seconds)


def _answer(response: HttpResponse) -> JsonObject:
    text = response.body.decode("utf-8", errors="replace")
    try:
        data = read_json(text)
    except ValueError:
        data = storable_text(text)
    return {
        "status": response.status,
        "statusText": response.reason,
        "data": data,
        "headers": dict(response.headers),
    }
