"""The API templates that come with Headrace: ready-made settings of apiCall nodes."""

from __future__ import annotations

import json
from importlib import resources
from uuid import NAMESPACE_URL, uuid5

from headrace.graph.json_types import JsonObject


def shipped_templates() -> list[JsonObject]:
    """All of them, as `/api-templates` serves them, without times. An id is the same at every start."""
    text = (resources.files("headrace.api") / "templates.json").read_text(encoding="utf-8")
    documents: list[JsonObject] = json.loads(text)
    return [{"id": _id(one), **one} for one in documents]


def _id(template: JsonObject) -> str:
    return str(uuid5(NAMESPACE_URL, f"headrace:api-template:{template['provider']}/{template['name']}"))
