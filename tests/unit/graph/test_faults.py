"""What pydantic finds, in our words and with our paths."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.errors import Problem
from headrace.graph.faults import faults
from headrace.graph.settings import Seconds

DURATION = "seconds, or text as `500ms`, `30s`, `5m`, `1h`, `2d`"


class Inner(BaseModel):
    name: str = "x"
    size: int = Field(default=1, ge=1, le=9)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    needed: str = Field(min_length=1, max_length=3)
    rows: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}
    kind: Literal["a", "b"] = "a"
    either: float | str | None = None
    on: bool = True
    every: Seconds = 1.0
    id: UUID | None = None


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ([], [Problem("", "must be an object")]),
        ({}, [Problem("needed", "is required")]),
        ({"needed": ""}, [Problem("needed", "must not be empty")]),
        ({"needed": "four"}, [Problem("needed", "must have at most 3 characters")]),
        ({"needed": 5}, [Problem("needed", "must be text")]),
        ({"needed": "x", "rows": 5}, [Problem("rows", "must be a list")]),
        ({"needed": "x", "rows": [{}, {"name": 1}]}, [Problem("rows[1].name", "must be text")]),
        ({"needed": "x", "rows": [{"size": 0}]}, [Problem("rows[0].size", "must be at least 1")]),
        ({"needed": "x", "rows": [{"size": "1.5"}]}, [Problem("rows[0].size", "must be a whole number")]),
        ({"needed": "x", "by_name": {"k": {"size": 10}}}, [Problem("by_name.k.size", "must be at most 9")]),
        ({"needed": "x", "by_name": {"k": 1}}, [Problem("by_name.k", "must be an object")]),
        ({"needed": "x", "kind": "c"}, [Problem("kind", "must be 'a' or 'b'")]),
        ({"needed": "x", "either": []}, [Problem("either", "must be a number or text")]),
        ({"needed": "x", "either": {"a": 1}}, [Problem("either", "must be a number or text")]),
        ({"needed": "x", "on": "perhaps"}, [Problem("on", "must be true or false")]),
        ({"needed": "x", "every": "soon"}, [Problem("every", "is no length of time", DURATION)]),
        ({"needed": "x", "every": True}, [Problem("every", "is no length of time", DURATION)]),
        ({"needed": "x", "every": -1}, [Problem("every", "must be more than 0")]),
        ({"needed": "x", "more": 1}, [Problem("more", "is unknown here")]),
    ],
)
def test_each_fault_has_its_words_and_its_place(value: object, problems: list[Problem]) -> None:
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(value)
    assert faults(refused.value.errors(), value) == problems


class Start(BaseModel):
    type: Literal["start"]
    input: str


class Send(BaseModel):
    type: Literal["send"]
    send: str
    to: int


class Handler(BaseModel):
    action: Annotated[Start | Send, Field(discriminator="type")]


@pytest.mark.parametrize(
    ("action", "problems"),
    [
        ({"type": "send"}, [Problem("action.send", "is required"), Problem("action.to", "is required")]),
        ({"type": "send", "send": "x"}, [Problem("action.to", "is required")]),
        ({"type": "send", "send": "x", "to": "y"}, [Problem("action.to", "must be a whole number")]),
        ({"type": "send", "send": 7, "to": 1}, [Problem("action.send", "must be text")]),
        ({"type": "start"}, [Problem("action.input", "is required")]),
        ({"type": "boom"}, [Problem("action", "its 'type' must be one of 'start', 'send'")]),
        ({}, [Problem("action", "needs a 'type'")]),
        (7, [Problem("action", "must be an object")]),
    ],
)
def test_one_of_several_kinds(action: object, problems: list[Problem]) -> None:
    with pytest.raises(ValidationError) as refused:
        Handler.model_validate({"action": action})
    assert faults(refused.value.errors(), {"action": action}) == problems


def test_an_id_has_an_example() -> None:
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate({"needed": "x", "id": "seven"})
    assert faults(refused.value.errors(), {"id": "seven"})[0].message.startswith("must be an id, as 0193f5a0")
