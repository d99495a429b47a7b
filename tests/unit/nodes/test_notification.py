from __future__ import annotations

import pytest

from headrace.graph.outcome import Done
from headrace.nodes.notification import Notification, NotificationConfig

from .conftest import context, lines

pytestmark = pytest.mark.anyio


async def test_its_text_is_the_log_line_and_its_input_passes_through() -> None:
    one = context({"data": {"city": "Dubai", "temperature": 35.0}})
    config = NotificationConfig(template="🌤️ {{data.city}}: {{ data.temperature }}°C")

    assert await Notification().start(one, config) == Done({"data": {"city": "Dubai", "temperature": 35.0}})
    assert lines(one) == [("notification", "🌤️ Dubai: 35°C")]


async def test_what_is_missing_is_blank_and_a_warning() -> None:
    one = context({})

    await Notification().start(one, NotificationConfig(template="Hello {{name}}!"))

    assert ("notification", "Hello !") in lines(one)
    assert [(line.type, line.kind) for line in one.log if "name" in line.message] == [("info", "warning")]


async def test_values_are_not_read_as_templates() -> None:
    one = context({"a": "{{b}}", "b": "secret"})

    await Notification().start(one, NotificationConfig(template="{{a}}"))

    assert lines(one) == [("notification", "{{b}}")]
