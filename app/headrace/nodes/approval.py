"""approval: a person decides between options. The first decision counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Outcome, Waiting
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.json_schema import problems, schema_problems
from headrace.nodes.waits import TIMEOUT, TimedOut, Timeout, give_up, received

APPROVAL = "approval"
"""What a task of this type waits for."""


class ApprovalConfig(Config):
    """What is asked, and what may be answered."""

    message: str = Field(
        default="",
        validation_alias=AliasChoices("message", "approvalMessage", "approval_message"),
        description="What people are asked; `{{ path }}` is filled in.",
        json_schema_extra={"format": "textarea"},
    )
    options: tuple[str, ...] = Field(
        default=("approve", "reject"),
        min_length=1,
        validation_alias=AliasChoices("options", "approvalOptions", "approval_options"),
        description="What people choose from; each is a branch `out-<option>`.",
    )
    form: AnyJson = Field(
        default=None,
        description="A JSON Schema of the data that comes with the decision; without data, it is `{}`.",
    )
    timeout: Timeout = Field(
        default=None,
        validation_alias=AliasChoices("timeout", "timeoutSeconds", "timeout_seconds"),
        description="How long to wait, in seconds or as `1h`; without it, for ever.",
    )
    default_option: str = Field(
        default="", description="The decision when nobody decides in time; without it, the time is out."
    )


class Approval(NodeType[ApprovalConfig]):
    """Its output is {decision, data, by, at, timedOut}; it goes the way of the decision."""

    type = "approval"
    aliases = ("human_approval", "humanApproval")
    group = "Waits & People"
    description = "Waits until a person decides, and goes the way of the decision."
    branching = True
    config_model = ApprovalConfig

    def branches(self, config: ApprovalConfig) -> tuple[str, ...]:
        return (*map(branch_of, config.options), *(() if config.default_option else (TIMEOUT,)))

    def check(self, config: ApprovalConfig) -> Iterable[Problem]:
        for option, count in Counter(config.options).items():
            if count > 1:
                yield Problem("options", f"'{option}' is there {count} times")
            if not option.strip() or branch_of(option) == TIMEOUT:
                yield Problem("options", f"'{option}' is no name for an option")
        if config.default_option and config.default_option not in config.options:
            yield _no_option("defaultOption", config)
        yield from schema_problems(config.form, "form")

    def check_signal(self, config: ApprovalConfig, payload: JsonValue) -> Iterable[Problem]:
        if not isinstance(payload, dict):
            yield Problem("", "a decision is an object", '{"decision": ..., "data": ..., "by": ...}')
            return
        if payload.get("decision") not in config.options:
            yield _no_option("decision", config)
        if not isinstance(payload.get("by"), str | None):
            yield Problem("by", "must be text")
        if config.form is not None:
            yield from problems(config.form, _data(config, payload), "data")

    async def start(self, context: NodeContext, config: ApprovalConfig) -> Outcome:
        message = context.render(config.message)
        options: list[JsonValue] = [*config.options]
        context.say("approval", f"Waiting for a decision ({', '.join(config.options)}): {message}")
        asked: JsonObject = {
            "message": message,
            "options": options,
            "form": config.form,
            "defaultOption": config.default_option or None,
        }
        return Waiting(config.timeout, APPROVAL, signal=f"{APPROVAL}:{context.node_id}", memory=asked)

    async def resume(self, context: NodeContext, config: ApprovalConfig) -> Outcome:
        signal = received(context)
        if signal is not None and isinstance(signal.payload, dict):
            answer = signal.payload | {"data": _data(config, signal.payload)}
            return _decided(context, answer, signal.at)
        if config.default_option:
            return _decided(context, {"decision": config.default_option}, None)
        return give_up(context, TimedOut("ApprovalTimeout", "nobody decided in time", _output({}, None)))


def branch_of(option: str) -> str:
    """The label of the edges that an option takes."""
    return f"out-{option}"


def _data(config: ApprovalConfig, answer: JsonObject) -> JsonValue:
    """What came with a decision. Where there is a form, to fill in nothing of it is an empty object."""
    data = answer.get("data")
    return {} if data is None and config.form is not None else data


def _decided(context: NodeContext, answer: JsonObject, at: str | None) -> Done:
    decision, who = str(answer["decision"]), answer.get("by") or ("somebody" if at else "nobody in time")
    context.say("approval", f"Decision: {decision} (by {who})")
    return Done(_output(answer, at), frozenset({branch_of(decision)}))


def _output(answer: JsonObject, at: str | None) -> JsonObject:
    return {
        "decision": answer.get("decision"),
        "data": answer.get("data"),
        "by": answer.get("by"),
        "at": at,
        "timedOut": at is None,
    }


def _no_option(path: str, config: ApprovalConfig) -> Problem:
    return Problem(path, "is not one of the options", ", ".join(config.options))
