"""question: asks a person something, and takes an answer of the right kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Outcome, Waiting
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.json_schema import problems, schema_problems
from headrace.nodes.waits import DONE, TIMEOUT, TimedOut, Timeout, give_up, received

QUESTION = "question"
"""What a task of this type waits for."""


class QuestionConfig(Config):
    """What is asked, and what counts as an answer."""

    question: str = Field(
        default="",
        description="What the person is asked; `{{ path }}` is filled in.",
        json_schema_extra={"format": "textarea"},
    )
    type: str = Field(
        default="",
        max_length=150,
        description="What kind of question it is, as ASK_FOR_FULL_NAME. An answer may name it, too, and is"
        " refused when it names another.",
    )
    answer_type: Literal["text", "number", "boolean", "date", "json"] = Field(
        default="text", description="The kind of answer. json: anything but null."
    )
    answer_schema: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("answerSchema", "schema"),
        description="A JSON Schema that the answer must keep, too.",
    )
    actor: str = Field(default="", description="Who is asked; `{{ path }}` is filled in.")
    timeout: Timeout = Field(
        default=None, description="How long to wait, in seconds or as `1h`; without it, for ever."
    )
    default_answer: AnyJson = Field(
        default=None, description="The answer when none comes in time; without it, the time is out."
    )


class Question(NodeType[QuestionConfig]):
    """Its output is {answer, by, at, timedOut}. It goes out-done, or out-timeout where that is drawn."""

    type = "question"
    group = "Waits & People"
    description = "Asks a person, and waits for an answer of the right kind."
    branching = True
    config_model = QuestionConfig

    def branches(self, config: QuestionConfig) -> tuple[str, ...]:
        return (DONE,) if config.default_answer is not None else (DONE, TIMEOUT)

    def check(self, config: QuestionConfig) -> Iterable[Problem]:
        yield from schema_problems(config.answer_schema, "answerSchema")
        if config.default_answer is not None:
            given: JsonObject = {"answer": config.default_answer}
            for one in self.check_signal(config, given):
                yield Problem("defaultAnswer", one.message, one.hint)

    def check_signal(self, config: QuestionConfig, payload: JsonValue) -> Iterable[Problem]:
        if not isinstance(payload, dict):
            yield Problem("", "an answer is an object", '{"type": ..., "answer": ..., "by": ...}')
            return
        if payload.get("type") not in (None, "", config.type):
            yield Problem("type", _expected(config))
        if not isinstance(payload.get("by"), str | None):
            yield Problem("by", "must be text")
        try:
            answer = _read(config, payload.get("answer"))
        except ValueError as error:
            yield Problem("answer", str(error))
            return
        if config.answer_schema is not None:
            yield from problems(config.answer_schema, answer, "answer")

    async def start(self, context: NodeContext, config: QuestionConfig) -> Outcome:
        question, actor = context.render(config.question), context.render(config.actor)
        context.say("question", f"Question{f' to {actor}' if actor else ''}: {question}")
        asked: JsonObject = {
            "question": question,
            "type": config.type or None,
            "actor": actor or None,
            "answerType": config.answer_type,
            "answerSchema": config.answer_schema,
        }
        return Waiting(
            config.timeout, QUESTION, signal=signal_of(config.type or context.node_id), memory=asked
        )

    async def resume(self, context: NodeContext, config: QuestionConfig) -> Outcome:
        signal = received(context)
        if signal is not None and isinstance(signal.payload, dict):
            answer = _read(config, signal.payload.get("answer"))
            context.say("question", f"Answered by {signal.payload.get('by') or 'somebody'}")
            return Done(_output(answer, signal.payload.get("by"), signal.at), frozenset({DONE}))
        if config.default_answer is not None:
            context.say("question", "Nobody answered in time: the default answer counts")
            return Done(_output(config.default_answer, None, None), frozenset({DONE}))
        missing = _output(None, None, None)
        return give_up(context, TimedOut("QuestionTimeout", "nobody answered in time", missing))


def _expected(config: QuestionConfig) -> str:
    return f"the question is of the type '{config.type}'" if config.type else "the question has no type"


def signal_of(name: str) -> str:
    """The name of the signal that answers a question of this type (or, without one, of the node's id)."""
    return f"{QUESTION}:{name}"


def _output(answer: JsonValue, by: JsonValue, at: str | None) -> JsonObject:
    return {"answer": answer, "by": by, "at": at, "timedOut": at is None}


def _read(config: QuestionConfig, answer: JsonValue) -> JsonValue:
    """The answer in its own kind: people also write numbers as text. Raises ValueError."""
    if answer is None or (isinstance(answer, str) and not answer.strip()):
        raise ValueError("an answer is needed")
    return _KINDS[config.answer_type](answer)


def _text(answer: JsonValue) -> JsonValue:
    if not isinstance(answer, str):
        raise ValueError("must be text")
    return answer


def _number(answer: JsonValue) -> JsonValue:
    if isinstance(answer, bool) or not isinstance(answer, int | float | str):
        raise ValueError("must be a number")
    if not isinstance(answer, str):
        return answer
    try:
        number = float(answer)
    except ValueError:
        raise ValueError("must be a number") from None
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return int(number) if number.is_integer() and "e" not in answer.lower() else number


_WORDS = {"yes": True, "true": True, "no": False, "false": False}


def _boolean(answer: JsonValue) -> JsonValue:
    known = _WORDS.get(answer.strip().lower()) if isinstance(answer, str) else answer
    if not isinstance(known, bool):
        raise ValueError("must be true or false")
    return known


def _date(answer: JsonValue) -> JsonValue:
    if not isinstance(answer, str):
        raise ValueError("must be a date, as 2026-01-31")
    try:
        datetime.fromisoformat(answer.strip())
    except ValueError:
        raise ValueError("must be a date, as 2026-01-31") from None
    return answer.strip()


def _json(answer: JsonValue) -> JsonValue:
    return answer


_KINDS: Mapping[str, Callable[[JsonValue], JsonValue]] = {
    "text": _text,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "json": _json,
}
