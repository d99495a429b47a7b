"""The node types of the graph_config form, as ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headrace.graph.coercion import text_of
from headrace.graph.imports.findings import Settings
from headrace.graph.imports.graph_config_lists import LISTS
from headrace.graph.imports.graph_config_names import Names
from headrace.graph.json_types import JsonObject, JsonValue

_ACTIVITY = "call the service with an apiCall node, or write an activity"
_NO_COUNTERPART: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "ai_prompt",
            "agent",
            "connector",
            "storage",
            "rag_switch",
            "ocr_switch",
            "scraping",
            "browser",
            "social_monitoring",
            "osint",
        ),
        _ACTIVITY,
    ),
    "code": "write it as an activity, or say it with transform, switch and json-logic",
    **dict.fromkeys(
        ("loop", "for", "while", "repeat"), "put what is repeated into the body of a map or repeat"
    ),
    **dict.fromkeys(("break", "continue"), "use breakKey or breakWhen of a repeat node"),
    **dict.fromkeys(("try", "catch"), "draw an edge `on: failure` from the node that may fail"),
    "finally": "set `finally` on the node that always runs",
}


@dataclass(frozen=True, slots=True)
class Converted:
    """A node's type and settings here. labels: of its branches, by what edges call them there."""

    node: JsonObject
    labels: Mapping[str, str] = field(default_factory=dict)


def convert(kind: str, settings: Settings, names: Names) -> Converted:
    """The node here; what has no counterpart is a problem."""
    if kind in _PLAIN:
        return _PLAIN[kind](settings)
    if kind in _NAMING:
        return _NAMING[kind](settings, names)
    if kind in LISTS:
        return Converted({"type": "transform", "config": LISTS[kind](settings, names)})
    settings.take(*settings.values)
    known = ", ".join(sorted((*_PLAIN, *_NAMING, *LISTS)))
    hint = _NO_COUNTERPART.get(kind, f"known: {known}")
    # The type stands beside the config.
    place = Settings({}, settings.path.removesuffix(".config"), settings.findings)
    place.refuse("node_type", f"a node of type '{kind}' has no counterpart", hint)
    return Converted({"type": kind, "config": {}})


def _trigger(settings: Settings) -> Converted:
    kind = settings.text("trigger_type", "type", default="manual")
    config: JsonObject = {"triggerType": kind}
    for name, ours in (("cron_expression", "cronExpression"), ("webhook_method", "webhookMethod")):
        if value := settings.text(name):
            config[ours] = value
    if kind != "manual":
        settings.note("trigger_type", f"nothing starts by it: {kind}", "create a schedule or a webhook")
    return Converted({"type": "trigger", "config": config})


def _condition(settings: Settings, names: Names) -> Converted:
    """A switch of two cases: it can see the outputs of all nodes before it, an ifElse only its input."""
    text = settings.text("condition", "expression", "condition_expression")
    kind = settings.take("condition_type", default="javascript")
    seen: dict[str, JsonValue] = {}

    def see(path: str) -> JsonValue:
        reference = names.reference(path)
        place = next((place for place, one in seen.items() if one == reference), f"v{len(seen)}")
        seen[place] = reference
        return {"var": f"value.{place}"}

    if kind == "jsonpath":
        rule = settings.attempt("condition", lambda: see(text))
    else:
        rule = settings.rule("condition", text, see)
    cases: list[JsonValue] = [{"id": "true", "when": rule}]
    config: JsonObject = {"value": seen, "cases": cases, "default": True}
    return Converted({"type": "switch", "config": config}, {"true": "out-true", "false": "out-default"})


def _switch(settings: Settings, names: Names) -> Converted:
    text = settings.text("switch_expression", "expression")
    settings.take("condition_type")
    value: JsonValue = text
    rule = settings.rule("switch_expression", text, lambda path: {"var": names.reference(path)})
    if isinstance(rule, dict) and isinstance(rule.get("var"), str):
        value = rule["var"]
    elif rule is not None:
        settings.refuse("switch_expression", f"`{text}` computes", "compute it in a transform node before")
    cases = _cases(settings)
    labels = {name: f"out-{id}" for id, values in cases.items() for name in (id, *map(text_of, values))}
    written: list[JsonValue] = [{"id": id, "values": values} for id, values in cases.items()]
    config: JsonObject = {"value": value, "cases": written, "default": True}
    return Converted({"type": "switch", "config": config}, labels | {"default": "out-default"})


def _cases(settings: Settings) -> dict[str, list[JsonValue]]:
    """Values by the case that they lead to: from a list of values, of {value, branch}, or {value: branch}."""
    given = settings.take("cases", default=[])
    pairs: list[tuple[JsonValue, JsonValue]] = []
    if isinstance(given, dict):
        pairs = list(given.items())
    elif isinstance(given, list):
        pairs = [_case(one) for one in given]
    else:
        settings.refuse("cases", "a list or an object is expected")
    cases: dict[str, list[JsonValue]] = {}
    for value, branch in pairs:
        cases.setdefault(text_of(value if branch is None else branch), []).append(value)
    return cases


def _case(given: JsonValue) -> tuple[JsonValue, JsonValue]:
    if not isinstance(given, dict):
        return given, None
    return given.get("value"), given.get("branch") or given.get("name") or given.get("label")


def _http_request(settings: Settings, names: Names) -> Converted:
    config: JsonObject = {
        "method": settings.text("method", default="GET"),
        "url": _text(settings, names.text_of_call, "url"),
        "headers": _headers(settings, names),
        "timeoutMs": round(1000 * settings.number("timeout", "timeout_seconds", default=30)),
        "failOnError": True,
        "expectedStatusCodes": [*range(200, 209), 226],
    }
    body = settings.take("body")
    if isinstance(body, str):
        config["bodyTemplate"] = settings.attempt("body", lambda: names.text(body))
    elif body is not None:
        config["body"] = settings.attempt("body", lambda: names.filled(body))
    return Converted({"type": "apiCall", "config": config})


def _text(settings: Settings, fill: Callable[[str], str], *names: str) -> str:
    """A text with its references in our spelling."""
    given = settings.text(*names)
    return text_of(settings.attempt(names[0], lambda: fill(given)))


def _headers(settings: Settings, names: Names) -> JsonValue:
    given = settings.take("headers", default={})
    if not isinstance(given, dict):
        settings.refuse("headers", "an object is expected")
        return {}

    def filled(value: JsonValue) -> JsonValue:
        return names.text_of_call(value) if isinstance(value, str) else value

    return settings.attempt("headers", lambda: {name: filled(one) for name, one in given.items()})


def _sub_workflow(settings: Settings, names: Names) -> Converted:
    workflow = settings.text("workflow_id")
    settings.note("workflow_id", f"a workflow with the id or name '{workflow}' must be here")
    waits = settings.take("wait_for_completion", default=False)
    config: JsonObject = {
        "workflow": settings.attempt("workflow_id", lambda: names.filled(workflow)),
        "wait": waits,
    }
    timeout = settings.number("timeout_seconds", default=3600)
    if waits:
        config["timeout"] = timeout
    given = settings.take("input_data")
    if given is not None:
        config["input"] = settings.attempt("input_data", lambda: names.filled(given))
    return Converted({"type": "subWorkflow", "config": config})


def _delay(settings: Settings, names: Names) -> Converted:
    kind = settings.take("delay_type", default="seconds")
    if kind == "until_time":
        return Converted(
            {"type": "waitUntil", "config": {"time": _text(settings, names.text, "target_time")}}
        )
    if kind == "until_condition":
        rule = settings.rule("condition_expression", settings.text("condition_expression"), names.in_run)
        return Converted({"type": "waitUntil", "config": {"condition": rule}})
    if kind != "seconds":
        settings.refuse("delay_type", f"'{kind}' is unknown", "known: seconds, until_time, until_condition")
    seconds = settings.number("delay_seconds", "seconds")
    return Converted({"type": "delay", "config": {"delayType": "seconds", "delayValue": seconds}})


def _set_variable(settings: Settings, names: Names) -> Converted:
    given = settings.take("variable_value", "value")
    value = settings.attempt("variable_value", lambda: names.filled(given))
    return Converted({"type": "setVariable", "config": {"name": _variable(settings), "value": value}})


def _get_variable(settings: Settings) -> Converted:
    config: JsonObject = {"name": _variable(settings), "default": settings.take("default_value")}
    return Converted({"type": "getVariable", "config": config})


def _variable(settings: Settings) -> str:
    scope = settings.take("variable_scope", default="workflow")
    if scope != "workflow":
        settings.note("variable_scope", f"the variable is the whole run's, not only of a {scope}")
    return settings.text("variable_name")


def _approval(settings: Settings, names: Names) -> Converted:
    options = settings.take("approval_options", default=["approve", "reject"])
    known = [one for one in options if isinstance(one, str)] if isinstance(options, list) else []
    config: JsonObject = {
        "message": _text(settings, names.text, "approval_message", "message"),
        "options": options,
        "timeout": settings.number("timeout_seconds", default=3600),
    }
    labels = {option: f"out-{option}" for option in known} | {"timeout": "out-timeout"}
    return Converted({"type": "approval", "config": config}, labels)


def _notification(settings: Settings, names: Names) -> Converted:
    parts = [_text(settings, names.text, name) for name in ("subject", "message")]
    channel, recipient = settings.text("channel"), settings.text("recipient")
    if channel or recipient:
        way = " to ".join(filter(None, (channel, recipient)))
        hint = "send it with an apiCall node"
        settings.note("channel", f"written into the run's log, not sent: {way}", hint)
    return Converted({"type": "notification", "config": {"template": "\n\n".join(filter(None, parts))}})


_PLAIN: Mapping[str, Callable[[Settings], Converted]] = {
    "trigger": _trigger,
    "get_variable": _get_variable,
}
_NAMING: Mapping[str, Callable[[Settings, Names], Converted]] = {
    **dict.fromkeys(("condition", "if"), _condition),
    "switch": _switch,
    "http_request": _http_request,
    "sub_workflow": _sub_workflow,
    **dict.fromkeys(("delay", "wait"), _delay),
    "set_variable": _set_variable,
    "human_approval": _approval,
    "notification": _notification,
}
