"""Declaring activities: names, options, parameters, clashes."""

from __future__ import annotations

import importlib
import keyword
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import headrace
from headrace import (
    ActivityAlreadyRegistered,
    BadDeclaration,
    Fail,
    Retry,
    UnknownOption,
    context,
    worker_task,
)
from headrace.activities.declaration import ORIGINS, Activity, Declaration, Origin
from headrace.activities.declare import Place, activity_of, imported_from
from headrace.activities.defaults import with_defaults
from headrace.activities.errors import BadInput, NotInActivity
from headrace.activities.options import Options
from headrace.activities.registry import REGISTRY
from headrace.activities.signature import as_json, signature_of
from headrace.graph.definition import Node, parse
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.retry import RetryPolicy, next_try


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    with REGISTRY.restored():
        yield


class Address(BaseModel):
    street: str
    number: int = 1


@dataclass
class Parcel:
    weight: float
    sent: date


def declared(name: str) -> Activity:
    found = REGISTRY.get(name)
    assert found is not None
    return found


def bound(function: Callable[..., object], payload: JsonValue) -> object:
    arguments = signature_of(function).bind(payload)
    return function(*arguments.positional, **arguments.named)


def test_the_function_stays_what_it_is() -> None:
    @worker_task("double", timeout=5)
    def double(n: int) -> int:
        """Doubles it.

        And more.
        """
        return 2 * n

    assert double(4) == 8
    activity = declared("double")
    assert activity.function is double
    assert activity.declaration.description == "Doubles it."
    assert activity.declaration.origin == "project"
    assert not activity.is_async


@pytest.mark.parametrize(
    "declare",
    [
        lambda function: worker_task(function),
        lambda function: worker_task()(function),
        lambda function: worker_task("named")(function),
        lambda function: worker_task(name="named")(function),
        lambda function: worker_task(task_definition_name="named")(function),
    ],
)
def test_every_way_to_name_one(declare: Callable[[Callable[[], None]], object]) -> None:
    def named() -> None: ...

    assert declare(named) is named
    assert declared("named").function is named


def test_unknown_options_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownOption, match=r"no option 'retires'; it knows .*retries") as told:
        worker_task("x", retires=3)  # type: ignore[call-overload]
    assert isinstance(told.value, TypeError)


BAD: list[Options] = [
    {"name": ""},
    {"name": "two words"},
    {"name": "1st"},
    {"name": "x" * 65},
    {"retries": -1},
    {"retries": True},
    {"timeout": "soon"},
    {"timeout": 0},
    {"rate": "many"},
    {"rate": "0/s"},
    {"concurrency": 0},
    {"backoff": "wild"},  # type: ignore[typeddict-item]
    {"concurrency": {"most": 3}},
]


@pytest.mark.parametrize("options", BAD, ids=str)
def test_bad_values_of_options_are_refused(options: Options) -> None:
    def function() -> None: ...

    with pytest.raises(BadDeclaration):
        activity_of(function, {"name": "fine", **options} if options.get("name") != "" else {"name": " "})


def test_options_become_the_defaults_of_a_node_and_the_nodes_own_settings_win() -> None:
    @worker_task(
        "paid",
        timeout="30s",
        total_timeout="1h",
        retries=4,
        retry_delay="2s",
        backoff="linear",
        max_delay="1m",
        retry_on=(OSError, "Busy"),
        no_retry_on=ValueError,
        concurrency=3,
        rate="100/5m",
    )
    def paid() -> None: ...

    document: JsonObject = {
        "nodes": [
            {"id": "plain", "type": "paid"},
            {
                "id": "own",
                "type": "paid",
                "retry": {"maxAttempts": 9, "strategy": "none"},
                "timeouts": {"attempt": 7},
                "concurrency": {"limit": 1},
                "rate": {"count": 1, "per": 1},
            },
            {"id": "other", "type": "noop"},
        ]
    }

    def defaults(node: Node) -> object:
        found = REGISTRY.get(node.type)
        return None if found is None else found.declaration.defaults

    plain, own, other = with_defaults(parse(document), defaults).nodes  # type: ignore[arg-type]
    assert plain.retry.model_dump() == {
        "max_attempts": 5,
        "strategy": "linear",
        "initial": 2.0,
        "multiplier": 2.0,
        "max": 60.0,
        "jitter": True,
        "retry_on": {"OSError", "Busy"},
        "no_retry_on": {"ValueError"},
    }
    assert (plain.timeouts.attempt, plain.timeouts.total) == (30, 3600)
    assert plain.concurrency is not None
    assert (plain.concurrency.limit, plain.concurrency.key) == (3, "activity paid")
    assert plain.rate is not None
    assert (plain.rate.count, plain.rate.per, plain.rate.key) == (100, 300, "activity paid")
    assert (own.retry.max_attempts, own.retry.strategy, own.retry.initial) == (9, "none", 2.0)
    assert (own.timeouts.attempt, own.timeouts.total) == (7, 3600)
    assert own.concurrency is not None
    assert own.rate is not None
    assert (own.concurrency.limit, own.concurrency.key, own.rate.count) == (1, "", 1)
    assert other == parse(document).nodes[2]


def test_a_declaration_survives_the_database() -> None:
    @worker_task("kept", retries=2, rate="1/s", isolated=False, error_key="error")
    def kept(a: Address, *, b: Parcel | None = None) -> Parcel: ...  # type: ignore[empty-body]

    declaration = declared("kept").declaration
    assert Declaration.from_json(declaration.as_json()) == declaration
    assert declaration.output_schema is not None
    assert declaration.output_schema["required"] == ["weight", "sent"]


def test_a_clash_names_both_and_a_reload_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reloaded_tasks.py").write_text(
        "from headrace import worker_task\n@worker_task('again')\ndef again(): return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reloaded_tasks")
    first = declared("again").function
    importlib.reload(module)
    assert declared("again").function is not first
    with pytest.raises(ActivityAlreadyRegistered) as told:

        @worker_task("again")
        def other() -> None: ...

    assert "reloaded_tasks:again" in str(told.value)
    assert "test_declaration:" in str(told.value)
    assert declared("again").function.__module__ == "reloaded_tasks"


@pytest.mark.parametrize(("first", "second"), list(permutations(ORIGINS, 2)))
def test_a_project_goes_before_a_package_before_what_is_built_in(first: Origin, second: Origin) -> None:
    def one() -> None: ...
    def two() -> None: ...

    for function, origin in ((one, first), (two, second)):
        with imported_from(Place(origin, origin)):
            worker_task("same")(function)
    assert declared("same").declaration.origin == max(first, second, key=ORIGINS.index)


def test_parameters_are_bound_by_name_and_converted() -> None:
    def send(to: Address, parcels: list[Parcel], *, fast: bool = False, note: str | None = None) -> object:
        return to, parcels, fast, note

    given: JsonObject = {
        "to": {"street": "Mill Lane", "number": "7"},
        "parcels": [{"weight": 2, "sent": "2026-11-21"}],
        "unknown": "is passed over",
    }
    assert bound(send, given) == (
        Address(street="Mill Lane", number=7),
        [Parcel(2.0, date(2026, 11, 21))],
        False,
        None,
    )
    with pytest.raises(BadInput, match=r"to\.street: Field required.*parcels: Field required"):
        bound(send, {"to": {}})
    with pytest.raises(BadInput, match="needs an object with to, parcels, fast, note, got a text"):
        bound(send, "nothing of that")


def test_a_lone_task_input_gets_everything() -> None:
    def whole(task_input):  # type: ignore[no-untyped-def]
        return task_input

    def typed(task_input: Address) -> Address:
        return task_input

    assert bound(whole, {"a": [1]}) == {"a": [1]}
    assert bound(typed, {"street": "s"}) == Address(street="s")
    assert signature_of(typed).schema["required"] == ["street"]
    with pytest.raises(BadInput, match=r"^street: Field required"):
        bound(typed, {})


def test_names_like_methods_of_models_positional_ones_and_keywords() -> None:
    def odd(copy: int, model_config: int, /, json: int = 3, schema: int = 4, **more: int) -> object:
        return copy, model_config, json, schema, more

    assert bound(odd, {"copy": 1, "model_config": 2, "schema": 5, "x": 6}) == (1, 2, 3, 5, {"x": 6})
    assert signature_of(odd).schema["additionalProperties"] is True


def test_what_cannot_be_bound_is_refused_when_it_is_declared() -> None:
    def stars(*numbers: int) -> None: ...
    def wrong(a: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def impossible(a: Callable[[], None]) -> None: ...

    for function in (stars, wrong, impossible):
        with pytest.raises(BadDeclaration):
            worker_task("x")(function)
    with pytest.raises(BadDeclaration, match="top level"):
        worker_task("x", isolated=True)(lambda: None)


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name)
)


@given(
    required=st.lists(NAMES, unique=True, max_size=5),
    values=st.dictionaries(NAMES, st.integers(), max_size=8),
    defaults=st.lists(NAMES, unique=True, max_size=4),
)
def test_binding_is_what_python_does_with_the_names_it_knows(
    required: list[str], values: dict[str, int], defaults: list[str]
) -> None:
    optional = [name for name in defaults if name not in required]
    parameters = ", ".join([*required, *(f"{name}=-1" for name in optional)])
    names = [*required, *optional]
    if names == ["task_input"]:
        return
    made: dict[str, Callable[..., object]] = {}
    exec(f"def function({parameters}): return [{', '.join(names)}]", made)
    function = made["function"]
    given_values: JsonObject = {**values}
    if missing := [name for name in required if name not in values]:
        with pytest.raises(BadInput) as told:
            bound(function, given_values)
        assert all(f"{name}: Field required" in str(told.value) for name in missing)
    else:
        assert bound(function, given_values) == [values.get(name, -1) for name in names]


def test_outputs_become_json() -> None:
    assert as_json(Parcel(1.5, date(2026, 1, 2))) == {"weight": 1.5, "sent": "2026-01-02"}
    assert as_json([Address(street="s"), None, {"a": (1, 2)}]) == [
        {"street": "s", "number": 1},
        None,
        {"a": [1, 2]},
    ]
    with pytest.raises(BadInput, match="not JSON"):
        as_json(object())


def test_what_failures_mean() -> None:
    @worker_task("fails", retry_on=(ConnectionError,), error_key="error")
    def fails() -> None: ...

    activity = declared("fails")
    final, again = (
        activity.failure(Fail("no", kind="K", details=[1])),
        activity.failure(Retry("wait", after=9)),
    )
    assert final is not None
    assert again is not None
    assert (final.message, final.kind, final.retryable, final.details) == ("no", "K", False, [1])
    assert (again.kind, again.retryable, again.retry_after, again.asks_again) == ("Retry", True, 9, True)
    policy = RetryPolicy(retry_on=frozenset({"OSError"}), jitter=False)
    assert next_try(policy, 1, again, 0.0) == 9
    assert next_try(policy, 1, replace(again, asks_again=False), 0.0) is None
    assert next_try(replace(policy, no_retry_on=frozenset({"Retry"})), 1, again, 0.0) is None
    subclass = activity.failure(ConnectionResetError("gone"))
    assert subclass is not None
    assert (subclass.kind, subclass.message) == ("ConnectionError", "ConnectionResetError: gone")
    assert activity.failure(ValueError("other")) is None
    said = activity.said_error({"error": "disk full"})
    assert said is not None
    assert (said.kind, said.message) == ("SaidError", "disk full")
    assert activity.said_error({"error": None}) is None
    assert activity.said_error("error") is None


def test_outside_there_is_no_context() -> None:
    with pytest.raises(NotInActivity, match="activity_context"):
        context()


def test_all_names_of_the_package_are_there_and_importing_a_part_loads_little() -> None:
    assert [name for name in headrace.__all__ if not hasattr(headrace, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        headrace.nothing  # noqa: B018
    probe = "import sys, headrace.errors; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
