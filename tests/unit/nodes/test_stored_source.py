"""What is known of the sources of stored activities."""

from __future__ import annotations

import pytest

from headrace.nodes.stored_source import ANYTHING, Parameter, entry_of, input_schema


@pytest.mark.parametrize(
    ("exports", "wanted", "entry"),
    [
        (("send", "other"), None, "send"),
        (("send", "other"), "other", "other"),
        (("send",), "other", None),
        (("lone",), None, "lone"),
        (("one", "two"), None, None),
        (("one", "main"), None, "main"),
        (("default", "one"), None, "default"),
        ((), None, None),
    ],
)
def test_the_entry_is_the_wanted_one_or_the_obvious_one(
    exports: tuple[str, ...], wanted: str | None, entry: str | None
) -> None:
    assert entry_of("send", exports, wanted) == entry


def test_an_entry_with_named_parameters_takes_an_object_of_them() -> None:
    takes = {"f": (Parameter("to", "string", True), Parameter("body", "", False)), "g": ()}
    assert input_schema(takes, "f") == {
        "type": "object",
        "properties": {"to": {"type": "string"}, "body": {}},
        "required": ["to"],
    }
    assert input_schema(takes, "g") == {"type": "object", "properties": {}, "required": []}
    assert input_schema(takes, "h") == ANYTHING
