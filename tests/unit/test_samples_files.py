"""The sample workflows' files: well formed, true schemas, and no placeholder that would stay empty.

Each sample is walked in process against the mock endpoints, down both branches, whatever the conditions say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from headrace.graph.definition import Definition, Node, parse, to_wire
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.template import MISSING, Scope, lookup, render, render_json
from headrace.nodes.builtin import builtin
from headrace.nodes.input_text import InputTextConfig, fill_in
from headrace.samples import Sample, load_samples
from support.mock_api import send, send_bytes

SAMPLES = load_samples()
BASE = "http://localhost:3000/workflows/api/"
NAMES = [
    "🌤️ Simple Weather Alert",
    "👤 Person Enrichment",
    "📧 Simple Notification",
    "🔀 Temperature Alert System",
    "🎯 LinkedIn Lead Qualification",
    "🏢 Smart Building Cooling System",
    "🏢 Advanced Building Cooling System",
]

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[one.file for one in SAMPLES])


def test_there_are_seven() -> None:
    assert [one.name for one in SAMPLES] == NAMES
    assert [one.file[:2] for one in SAMPLES] == ["01", "02", "03", "04", "05", "06", "07"]


@each_sample
def test_is_in_the_wire_form(sample: Sample) -> None:
    assert to_wire(parse(sample.definition)) == sample.definition


@each_sample
def test_every_config_suits_its_node_type(sample: Sample) -> None:
    types = builtin()
    for node in parse(sample.definition).nodes:
        node_type = types.get(node.type)
        assert node_type is not None
        config = node_type.config_model.model_validate(node.config)
        assert list(node_type.check(config)) == []
        assert not config.model_extra, "a key that no node type reads"


@each_sample
def test_connections_are_the_edges(sample: Sample) -> None:
    definition = parse(sample.definition)
    for node in definition.nodes:
        assert node.connections == [edge.target for edge in definition.edges if edge.source == node.id]


@each_sample
def test_edges_leave_and_enter_at_the_handles_of_their_nodes(sample: Sample) -> None:
    definition = parse(sample.definition)
    for node in definition.nodes:
        handles = [edge.source_handle for edge in definition.edges if edge.source == node.id]
        if node.type == "ifElse":
            assert handles == ["out-true", "out-false"]
        else:
            assert set(handles) <= {"out"}
    assert {edge.target_handle for edge in definition.edges} == {"in"}


@each_sample
def test_nodes_stand_apart_from_left_to_right(sample: Sample) -> None:
    definition = parse(sample.definition)
    places = {node.id: node.position for node in definition.nodes}
    assert len({(place.x, place.y) for place in places.values()}) == len(places)
    for edge in definition.edges:
        assert places[edge.target].x - places[edge.source].x >= 250


@each_sample
@pytest.mark.parametrize("with_input", [True, False], ids=["example input", "defaults"])
def test_every_placeholder_has_a_value_and_every_schema_is_true(sample: Sample, with_input: bool) -> None:
    walk = Walk(parse(sample.definition), sample.example_input if with_input else {})
    assert walk.texts
    for node in walk.definition.nodes:
        assert disagreements(walk.outputs[node.id], node.output_schema) == []
        assert disagreements(walk.inputs[node.id], node.input_schema) == []


@each_sample
def test_example_input_has_the_fields_of_the_form(sample: Sample) -> None:
    forms = [node.config["fields"] for node in parse(sample.definition).nodes if node.type == "inputText"]
    keys = {lookup("key", field) for fields in forms if isinstance(fields, list) for field in fields}
    assert set(sample.example_input) == keys


def test_weather_report_in_full() -> None:
    walk = Walk(parse(SAMPLES[0].definition), {"city": "Dubai"})
    assert walk.texts["weather-notification"] == (
        "🌤️ Weather Report for Dubai\n\n"
        "🌡️ Temperature: 35°C\n💧 Humidity: 60%\n☁️ Condition: sunny\n\n"
        "Have a great day!"
    )


def test_air_conditioning_acts_where_the_sensor_is() -> None:
    walk = Walk(parse(SAMPLES[6].definition), {})
    for node in ("temp-sensor", "ac-control", "temp-recheck-api"):
        assert lookup("data.zone", walk.outputs[node]) == "main_building"
    assert lookup("data.target_temperature", walk.outputs["ac-control"]) == 22


class Walk:
    """What a run of a sample would compute, without an engine: all nodes in the file's order.

    A node's input is its first parent's output, as for each node of the samples.
    """

    def __init__(self, definition: Definition, run_input: JsonObject) -> None:
        self.definition = definition
        self.inputs: dict[str, JsonValue] = {}
        self.outputs: dict[str, JsonValue] = {}
        self.texts: dict[str, str] = {}
        for node in definition.nodes:
            parents = [edge.source for edge in definition.edges if edge.target == node.id]
            assert len(parents) <= 1
            self.inputs[node.id] = self.outputs[parents[0]] if parents else run_input
            names: dict[str, JsonValue] = {
                "input": run_input,
                "nodes": {name: {"output": output} for name, output in self.outputs.items()},
            }
            self.outputs[node.id] = self._output(node, Scope(self.inputs[node.id], names))

    def _output(self, node: Node, scope: Scope) -> JsonValue:
        match node.type:
            case "inputText":
                output, problems = fill_in(InputTextConfig.model_validate(node.config), scope.input)
                assert problems == []
                return output
            case "apiCall":
                return api_call(node.config, scope)
            case "notification":
                self.texts[node.id] = filled(node.config["template"], scope)
            case "ifElse":
                tested = lookup("condition.predicates[0].targetField", node.config)
                assert isinstance(tested, str)
                assert isinstance(lookup(tested, scope.input), int | float)
                assert {lookup(label, node.config) for label in ("trueLabel", "falseLabel")}.isdisjoint(
                    {MISSING, ""}
                )
        return scope.input


def filled(text: JsonValue, scope: Scope, *, as_json: bool = False) -> str:
    """The text with its placeholders filled in, none of them with nothing."""
    assert isinstance(text, str)
    for placeholder in re.findall(r"\{\{.*?\}\}", text):
        assert render(placeholder, scope).text, f"{placeholder} is empty"
    return (render_json if as_json else render)(text, scope).text


def api_call(config: Mapping[str, JsonValue], scope: Scope) -> JsonValue:
    """The output of an apiCall node whose URL leads to a mock endpoint."""
    url, method = filled(config["url"], scope), config["method"]
    assert url.startswith(BASE)
    assert isinstance(method, str)
    headers = dict(pairs(config["headers"], scope))
    path = f"{url.removeprefix(BASE)}?{urlencode(pairs(config['queryParams'], scope))}"
    if "bodyTemplate" in config:
        assert headers["Content-Type"] == "application/json"
        response = send_bytes(method, path, filled(config["bodyTemplate"], scope, as_json=True).encode())
    else:
        (response,) = send(method, path)
    expected = config["expectedStatusCodes"]
    assert isinstance(expected, list)
    assert response.status_code in expected
    return {
        "status": response.status_code,
        "statusText": response.reason_phrase,
        "data": response.json(),
        "headers": dict(response.headers),
        "success": True,
    }


def pairs(settings: JsonValue, scope: Scope) -> list[tuple[str, str]]:
    """Headers or query parameters; all of the samples' are switched on."""
    assert isinstance(settings, list)
    found = []
    for one in settings:
        assert isinstance(one, dict)
        assert set(one) == {"id", "key", "value", "enabled"}
        assert one["enabled"] is True
        found.append((str(one["key"]), filled(one["value"], scope)))
    return found


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_OPTIONAL = {"error"}  # an apiCall node's output has it only after a failure


def disagreements(value: JsonValue, schema: JsonValue, path: str = "") -> list[str]:
    """Where a value and a schema of the samples differ: wrong types, and keys that only one of them has."""
    assert isinstance(schema, dict)
    if not schema:
        return []
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if type(value) not in {kind for name in kinds for kind in _TYPES[str(name)]}:
        return [f"{path} is {value!r}, not {kinds}"]
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return []
    odd = [f"{path}.{key}" for key in (set(value) ^ set(properties)) - _OPTIONAL]
    common = set(value) & set(properties)
    return odd + [
        one for key in common for one in disagreements(value[key], properties[key], f"{path}.{key}")
    ]
