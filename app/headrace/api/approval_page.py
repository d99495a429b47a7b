"""The page behind a link to an approval: a message, the fields of its form, one button. No script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from headrace.graph.json_types import JsonObject, JsonValue

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}}
p{{white-space:pre-wrap}}label{{display:block;margin:.8rem 0}}input,select{{font:inherit;margin-left:.5rem}}
button{{font:inherit;padding:.5rem 1.5rem;margin-top:1rem}}.wrong{{color:#b00020}}</style>
</head><body><h1>{title}</h1>{body}</body></html>
"""


def ask(option: str, asked: JsonObject, faults: Sequence[str] = ()) -> str:
    """The page with the button. asked: {message, form}. faults: of what was sent before."""
    wrong = "".join(f'<p class="wrong">{escape(fault)}</p>' for fault in faults)
    fields = "".join(_field(name, schema) for name, schema in _properties(asked))
    message, button = escape(str(asked.get("message") or "")), escape(option)
    form = f'<form method="post">{fields}<button type="submit">{button}</button></form>'
    return _page("A decision is wanted", f"<p>{message}</p>{wrong}{form}")


def thank(option: str) -> str:
    return _page("Thank you", f"<p>Your decision was recorded: {escape(option)}</p>")


def gone() -> str:
    return _page("This link does nothing any more", "<p>It was decided, or its time is out.</p>")


def read(asked: JsonObject, fields: Mapping[str, str]) -> JsonValue:
    """The form's data in the kinds that its schema wants; an empty field is left out. None without a form."""
    if asked.get("form") is None:
        return None
    data: JsonObject = {}
    for name, schema in _properties(asked):
        text = fields.get(name, "")
        if schema.get("type") == "boolean":
            data[name] = bool(text)
        elif text:
            data[name] = _number(text) if schema.get("type") in ("number", "integer") else text
    return data


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), body=body)


def _properties(asked: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    form = asked.get("form")
    properties = form.get("properties") if isinstance(form, dict) else None
    if isinstance(properties, dict):
        for name, schema in properties.items():
            yield name, schema if isinstance(schema, dict) else {}


def _field(name: str, schema: JsonObject) -> str:
    label, attribute = escape(str(schema.get("title") or name)), f'name="{escape(name)}"'
    choices = schema.get("enum")
    match schema.get("type"):
        case _ if isinstance(choices, list):
            options = "".join(f"<option>{escape(str(one))}</option>" for one in ["", *choices])
            control = f"<select {attribute}>{options}</select>"
        case "boolean":
            control = f'<input type="checkbox" {attribute} value="true">'
        case "number" | "integer":
            control = f'<input type="number" step="any" {attribute}>'
        case _:
            control = f"<input {attribute}>"
    return f"<label>{label}{control}</label>"


def _number(text: str) -> JsonValue:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
