from __future__ import annotations

import pytest

from headrace.nodes.base import Config, NodeType
from headrace.nodes.builtin import builtin

TYPES = list(builtin())


USELESS_ALONE: dict[str, dict[str, str | int]] = {
    "code": {"code": "1"},
    "inline": {"expression": "1"},
    "repeat": {"for": 1},
}
"""What types need beside the settings that have no default."""


def least(node: NodeType[Config]) -> dict[str, str | int]:
    """What must be said: names of something for settings without a default."""
    required = node.config_model.model_json_schema().get("required", ())
    return dict.fromkeys(required, "something") | USELESS_ALONE.get(node.type, {})


def test_the_palette_and_its_order() -> None:
    assert [one.type for one in TYPES] == [
        *["inputText", "trigger", "transform", "code", "inline", "validate"],
        *["decision", "ifElse", "switch"],
        *["apiCall", "notification", "log", "delay"],
        *["waitUntil", "waitSignal", "approval", "question", "httpPoll"],
        *["map", "repeat", "subWorkflow", "activity", "noop", "terminate"],
        *["setVariable", "getVariable"],
    ]
    assert [one.type for one in TYPES if one.branching] == [
        *["validate", "decision", "ifElse", "switch"],
        *["waitUntil", "waitSignal", "approval", "question", "httpPoll"],
    ]


def test_http_call_is_another_name_of_api_call() -> None:
    registry = builtin()

    assert registry.get("httpCall") is registry.get("apiCall") is not None
    assert registry.get("nothing") is None


@pytest.mark.parametrize("node", TYPES, ids=lambda node: str(node.type))
def test_the_schema_is_fit_for_a_form(node: NodeType[Config]) -> None:
    schema = node.config_model.model_json_schema()

    assert node.description
    groups = ("Input & Data", "Logic & Control", "Actions", "Waits & People", "Activities", "Data")
    assert node.group in groups
    for name, field in schema["properties"].items():
        assert name[0].islower()
        assert "_" not in name
        assert field["description"]
        assert ("default" in field) is (name not in schema.get("required", ()))
        # A setting that may be null is of one type or null.
        (shape,) = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
        assert {"type", "$ref"} & shape.keys()


@pytest.mark.parametrize("node", TYPES, ids=lambda node: str(node.type))
def test_the_defaults_alone_are_a_valid_config(node: NodeType[Config]) -> None:
    names, required = node.config_model.model_json_schema()["properties"], least(node)

    assert list(node.check(node.config_model.model_validate(required))) == []
    assert node.config_model.model_validate(
        dict.fromkeys(names) | required
    ) == node.config_model.model_validate(required)


def test_keys_of_clients_are_kept() -> None:
    for node in TYPES:
        config = node.config_model.model_validate(
            least(node) | {"templateId": None, "libraryTemplate": {"a": 1}}
        )

        assert config.model_dump()["libraryTemplate"] == {"a": 1}
        assert config.model_dump()["templateId"] is None
