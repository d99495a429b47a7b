"""httpPoll: repeats a call until its answer is as wanted. Between two calls no worker is held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import BadExpression, Problem
from headrace.graph.expressions import evaluate, truthy
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome, Waiting
from headrace.graph.settings import Seconds
from headrace.nodes.base import HttpError, LogLine, NodeContext, NodeType
from headrace.nodes.http_call import ApiCallConfig, HttpCall
from headrace.nodes.predicates import rule_problems
from headrace.nodes.waits import DONE, TIMEOUT, Patience, TimedOut, Timeout, give_up


class HttpPollConfig(ApiCallConfig):
    """A call, when it is repeated, and when it is enough."""

    until: AnyJson = Field(
        default=None,
        description="json-logic over the answer {status, statusText, data, headers, success}; without it,"
        " `success` is enough.",
    )
    every: Seconds = Field(default=10.0, ge=1, description="The pause between two calls, or as `1m`.")
    max_attempts: int = Field(default=100, ge=1, le=1_000_000, description="How many calls at most.")
    timeout: Timeout = Field(
        default=None, description="How long all calls with their pauses may take; else maxAttempts counts."
    )


class _OneOfMany(HttpCall):
    """A call that others follow. One that the next cannot mend, as to a refused address, always fails."""

    def fails(self, config: ApiCallConfig, error: HttpError) -> bool:
        return config.fail_on_error or not error.retryable


_CALL = _OneOfMany()


class HttpPoll(NodeType[HttpPollConfig]):
    """Its output is the last answer and {polls}. It goes out-done, or out-timeout where that is drawn."""

    type = "httpPoll"
    aliases = ("http_poll",)
    group = "Waits & People"
    description = "Calls an HTTP API again and again, until its answer is as wanted."
    branching = True
    config_model = HttpPollConfig

    def branches(self, config: HttpPollConfig) -> tuple[str, ...]:  # noqa: ARG002
        return DONE, TIMEOUT

    def check(self, config: HttpPollConfig) -> Iterable[Problem]:
        yield from _CALL.check(config)
        yield from rule_problems(config.until, "until")

    async def start(self, context: NodeContext, config: HttpPollConfig) -> Outcome:
        return await _poll(context, config, 1)

    async def resume(self, context: NodeContext, config: HttpPollConfig) -> Outcome:
        polls = context.memory.get("polls") if isinstance(context.memory, dict) else None
        return await _poll(context, config, polls + 1 if isinstance(polls, int) else 1)


async def _poll(context: NodeContext, config: HttpPollConfig, number: int) -> Outcome:
    log: list[LogLine] = []
    # A server that knows the key would repeat its first answer for ever.
    call = replace(context, log=log, idempotency_key=f"{context.idempotency_key}-{number}")
    outcome = await _CALL.start(call, config)
    match outcome:
        case Done(output=dict() as answer):
            try:
                is_enough = _is_enough(config, answer)
            except BadExpression as error:
                return Failed(f"until: {error.message}", kind=error.code, retryable=False)
            if not is_enough:
                return _again(context, config, number, answer)
            context.log.extend(log)
            return Done(answer | {"polls": number}, frozenset({DONE}))
        case Failed(retryable=True):
            return _again(context, config, number, {"error": outcome.message}, outcome.retry_after or 0.0)
        case _:
            context.log.extend(log)
            return outcome


def _is_enough(config: HttpPollConfig, answer: JsonObject) -> bool:
    rule: JsonValue = {"var": "success"} if config.until is None else config.until
    return truthy(evaluate(rule, answer))


def _again(
    context: NodeContext, config: HttpPollConfig, number: int, answer: JsonObject, rest: float = 0.0
) -> Outcome:
    """rest: seconds that the other side wants to be left alone, if it said so."""
    seen = answer.get("error") or f"{answer.get('status')} {answer.get('statusText')}"
    context.say("api", f"Call {number}: {seen}, not yet as wanted")
    pause = Patience.of(context).pause(max(config.every, rest), config.timeout)
    if pause is None or number >= config.max_attempts:
        message = f"the answer was not as wanted after {number} call(s)"
        return give_up(
            context, TimedOut("PollTimeout", message, answer | {"polls": number, "timedOut": True})
        )
    return Waiting(pause.seconds, "poll", memory=pause.memory() | {"polls": number})
