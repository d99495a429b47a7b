"""Settings with their placeholders filled in: `{{ path }}` becomes text, `${ path }` keeps its JSON type."""

from __future__ import annotations

import re

from headrace.graph.json_types import JsonValue
from headrace.graph.template import resolve
from headrace.nodes.base import NodeContext

_BRACES = re.compile(r"(\{\{[^{}]*\}\})")


def fill(context: NodeContext, value: JsonValue) -> JsonValue:
    """The value with both kinds of placeholder filled in, in every string of it.

    Raises MissingReference when `${ path }` names nothing, and BadExpression.
    """
    match value:
        case str() if "{{" in value:
            return fill_text(context, value)
        case list():
            return [fill(context, one) for one in value]
        case dict():
            return {key: fill(context, one) for key, one in value.items()}
        case _:
            return resolve(value, context.scope)


def fill_text(context: NodeContext, text: str) -> str:
    """The text with both kinds of placeholder filled in, in one pass: values are never read as templates.

    Raises MissingReference when `${ path }` names nothing, and BadExpression.
    """
    pieces = _BRACES.split(text)
    return "".join(
        context.render(piece) if index % 2 else _dollars(context, piece) for index, piece in enumerate(pieces)
    )


def _dollars(context: NodeContext, text: str) -> str:
    # The blank makes it a longer string, in which `${ path }` becomes text.
    return str(resolve(f" {text}", context.scope))[1:] if "${" in text else text
