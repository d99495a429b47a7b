"""The shipped API templates fit the mock endpoints that they call."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from headrace.api.shipped_templates import shipped_templates
from headrace.graph.json_types import JsonObject, JsonValue
from support.mock_api import send, send_bytes

TEMPLATES = shipped_templates()
MOCK = "http://localhost:3000/workflows/api/"
KEYS = {
    "id", "name", "description", "provider", "category", "method", "url", "headers", "bodyTemplate",
    "parameters", "timeoutMs", "expectedStatusCodes", "sampleResponse", "documentation", "tags",
    "isActive", "isCustom",
}  # fmt: skip

each_template = pytest.mark.parametrize("template", TEMPLATES, ids=[str(one["name"]) for one in TEMPLATES])


def test_there_are_nine() -> None:
    assert [(one["provider"], one["category"], one["name"], one["method"]) for one in TEMPLATES] == [
        ("apollo", "enrichment", "Person Enrichment", "POST"),
        ("apollo", "enrichment", "Company Search", "GET"),
        ("zoominfo", "enrichment", "Contact Enrichment", "POST"),
        ("hubspot", "crm", "Create Contact", "POST"),
        ("hubspot", "lead-scoring", "Update Contact Score", "PATCH"),
        ("lemlist", "email", "Send Email Campaign", "POST"),
        ("clearbit", "enrichment", "Company Enrichment", "GET"),
        ("jsonplaceholder", "data", "Get User Data", "GET"),
        ("jsonplaceholder", "data", "Create Post", "POST"),
    ]


def test_ids_are_different_and_stay() -> None:
    assert len({UUID(str(one["id"])) for one in TEMPLATES}) == len(TEMPLATES)
    assert shipped_templates() == TEMPLATES
    assert TEMPLATES[0]["id"] == "dd22f4ca-6be0-5de9-a5a6-75f262741f2d"


@each_template
def test_has_all_fields(template: JsonObject) -> None:
    assert set(template) == KEYS
    assert (template["isActive"], template["isCustom"], template["timeoutMs"]) == (True, False, 10000)
    headers = template["headers"]
    assert isinstance(headers, list)
    for header in headers:
        assert isinstance(header, dict)
        assert (
            {"id", "key", "value", "enabled"}
            <= set(header)
            <= {"id", "key", "value", "enabled", "description"}
        )
        assert header["enabled"] is True


@each_template
def test_parameters_are_the_placeholders(template: JsonObject) -> None:
    texts = f"{template['url']} {template['headers']} {template['bodyTemplate']}"
    parameters = template["parameters"]
    assert isinstance(parameters, list)
    assert {one["key"] for one in parameters if isinstance(one, dict)} == set(
        re.findall(r"\{\{(\w+)\}\}", texts)
    )


@pytest.mark.parametrize(
    "template",
    [one for one in TEMPLATES if one["provider"] != "jsonplaceholder"],
    ids=lambda one: one["name"],
)
def test_fits_its_mock_endpoint(template: JsonObject) -> None:
    url, body, method = (_fill(template[key]) for key in ("url", "bodyTemplate", "method"))
    path = url.removeprefix(MOCK)
    assert path.startswith("mock/")
    response = send_bytes(method, path, body.encode()) if body else send(method, path)[0]
    expected = template["expectedStatusCodes"]
    assert isinstance(expected, list)
    assert response.status_code in expected
    assert _outline(response.json()) == _outline(template["sampleResponse"])


def _fill(text: JsonValue) -> str:
    return re.sub(r"\{\{\w+\}\}", "7", str(text or ""))


def _outline(value: object) -> object:
    """The keys and the types of the values."""
    match value:
        case dict():
            return {key: _outline(one) for key, one in value.items()}
        case list():
            return [_outline(one) for one in value]
        case _:
            return type(value)
