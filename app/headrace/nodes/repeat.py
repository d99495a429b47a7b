"""repeat: a part of a workflow again and again: so many times, while, or until a condition holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, WithJsonSchema
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.expressions import evaluate, truthy
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Child, Done, Failed, Outcome, Spawned
from headrace.graph.template import resolve
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.children import child_failed, read_answers
from headrace.nodes.predicates import rule_problems

MOST_ITERATIONS = 10_000
_NUMBER_OR_PATH = WithJsonSchema({"type": ["integer", "string"], "examples": [3, "${times}"]})
_CONDITIONS = "json-logic over `input`, `last` (the last iteration's output), `index` and `results`"


class RepeatConfig(Config):
    """What is repeated, and when it is enough: one of `for`, `while` and `until`, or only a break."""

    body: AnyJson = Field(
        default=None,
        description="What is repeated: one node, or a graph `{nodes, edges}`. In its templates `index`,"
        " `last` and the names of `inputs` can be used.",
        json_schema_extra={"type": "object"},
    )
    times: Annotated[int | str | None, _NUMBER_OR_PATH] = Field(
        default=None,
        validation_alias=AliasChoices("for", "times"),
        title="For",
        description="So many times; `${ path }` is filled in.",
    )
    while_: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("while"),
        title="While",
        description=f"As long as this holds before an iteration: {_CONDITIONS}.",
    )
    until: AnyJson = Field(default=None, description=f"Until this holds after an iteration: {_CONDITIONS}.")
    inputs: dict[str, AnyJson] = Field(
        default={}, description="More names for the body, by name; `${ path }` is filled in."
    )
    max_iterations: int = Field(
        default=100, ge=1, le=MOST_ITERATIONS, description="Then the loop is exhausted."
    )
    on_exhausted: Literal["fail", "complete"] = Field(
        default="fail", description="Whether an exhausted loop fails with LoopExhausted, or completes."
    )
    break_key: str = Field(
        default="",
        max_length=200,
        description="The loop ends after an iteration whose output has this key with a true value.",
    )
    break_when: AnyJson = Field(default=None, description=f"The loop ends when this holds: {_CONDITIONS}.")
    keep_last: int = Field(
        default=100, ge=0, le=MOST_ITERATIONS, description="How many of the last results are kept."
    )


class Repeat(NodeType[RepeatConfig]):
    """Runs its body again and again; its output is `{iterations, last, results}`."""

    type = "repeat"
    group = "Logic & Control"
    description = "Repeats a part of a workflow: so many times, while a condition holds, or until it does."
    aliases = ("loop", "for", "while")
    has_body = True
    config_model = RepeatConfig

    def check(self, config: RepeatConfig) -> Iterable[Problem]:
        given = [config.times, config.while_, config.until]
        if sum(one is not None for one in given) > 1:
            yield Problem("", "has more than one of `for`, `while` and `until`")
        if not any(one is not None for one in (*given, config.break_when)) and not config.break_key:
            yield Problem("for", "nothing says when it is enough", "one of `for`, `while`, `until`")
        yield from _times_problems(config)
        yield from rule_problems(config.while_, "while")
        yield from rule_problems(config.until, "until")
        yield from rule_problems(config.break_when, "breakWhen")

    async def start(self, context: NodeContext, config: RepeatConfig) -> Outcome:
        # Run again in place after a failure, it remembers the iterations that ended well, unless what came
        # before it ran again, too, and gives it something else: those were iterations of another loop.
        before, given = _State.read(context.memory), _given(context)
        return self._go_on(context, config, before if before.given == given else _State(given=given))

    async def resume(self, context: NodeContext, config: RepeatConfig) -> Outcome:
        (answer,) = read_answers(context.wake) or (None,)
        before = _State.read(context.memory)
        if answer is None or not answer.is_well:
            which = f"iteration {before.done}" + (f" ({answer.name})" if answer else "")
            message = f"{which} failed: {answer.message if answer else 'it gave no answer'}"
            return child_failed(message, [answer] if answer else [])
        state = before.after(answer.output, config.keep_last)
        if self._breaks(context, config, state):
            return state.finished()
        return self._go_on(context, config, state)

    def _breaks(self, context: NodeContext, config: RepeatConfig, state: _State) -> bool:
        """Whether the iteration that has just ended was the last."""
        last = state.last
        if config.break_key and isinstance(last, dict) and truthy(last.get(config.break_key)):
            return True
        rules = (rule for rule in (config.until, config.break_when) if rule is not None)
        return any(_holds(rule, context, state, state.done - 1) for rule in rules)

    def _go_on(self, context: NodeContext, config: RepeatConfig, state: _State) -> Outcome:
        """The next iteration, if there is one."""
        if config.times is not None:
            times = _number(resolve(config.times, context.scope))
            if times is None:
                return Failed("`for` is no number of times", kind="InvalidConfig", retryable=False)
            if state.done >= times:
                return state.finished()
        elif config.while_ is not None and not _holds(config.while_, context, state, state.done):
            return state.finished()
        if state.done >= config.max_iterations:
            return _exhausted(config, state)
        given = resolve(config.inputs, context.scope)
        named: JsonObject = given if isinstance(given, dict) else {}
        child = Child(state.done, {**named, "index": state.done, "last": state.last})
        return Spawned([child], memory=state.as_json())


def _given(context: NodeContext) -> str:
    """A digest of all that the nodes before this one left for it. Variables may change within a loop."""
    names = context.scope.names
    seen: JsonValue = [context.input, names.get("nodes"), names.get("parents")]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def _times_problems(config: RepeatConfig) -> Iterable[Problem]:
    times, most = config.times, config.max_iterations
    if isinstance(times, str) and "${" not in times and _number(times) is None:
        yield Problem("for", f"'{times}' is no number of times", "as 3 or `${times}`")
    number = None if times is None else _number(times)
    if isinstance(times, int) and times < 0:
        yield Problem("for", f"{times} is less than 0")
    elif number is not None and number > most and config.on_exhausted == "fail":
        yield Problem("for", f"{number} is more than maxIterations, {most}", "raise `maxIterations`")


@dataclass(frozen=True, slots=True)
class _State:
    """What the loop knows between two iterations. done: iterations that have ended; results: the last few.

    given: a digest of what the loop began with.
    """

    done: int = 0
    last: JsonValue = None
    results: tuple[JsonValue, ...] = ()
    given: str = ""

    @classmethod
    def read(cls, memory: JsonValue) -> _State:
        if not isinstance(memory, dict):
            return cls()
        done, results, given = memory.get("done"), memory.get("results"), memory.get("given")
        return cls(
            done if isinstance(done, int) else 0,
            memory.get("last"),
            tuple(results) if isinstance(results, list) else (),
            given if isinstance(given, str) else "",
        )

    def as_json(self) -> JsonObject:
        return {"done": self.done, "last": self.last, "results": [*self.results], "given": self.given}

    def after(self, answered: JsonValue, keep: int) -> _State:
        output = self._without_last(answered)
        results = (*self.results, output)
        return replace(self, done=self.done + 1, last=output, results=results[-keep:] if keep else ())

    def _without_last(self, output: JsonValue) -> JsonValue:
        """A body that passes its input on would nest each `last` in the next one, ever deeper."""
        passes_on = isinstance(output, dict) and "last" in output and output["last"] == self.last
        if not passes_on or not isinstance(output, dict):
            return output
        return {key: value for key, value in output.items() if key != "last"}

    def finished(self) -> Done:
        return Done({"iterations": self.done, "last": self.last, "results": [*self.results]})


def _holds(rule: JsonValue, context: NodeContext, state: _State, index: int) -> bool:
    """Whether a condition holds, before or after iteration `index`; raises BadExpression."""
    data: JsonObject = {
        "input": context.input,
        "last": state.last,
        "index": index,
        "results": [*state.results],
    }
    return truthy(evaluate(rule, data))


def _number(value: JsonValue) -> int | None:
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return int(value) if is_whole and isinstance(value, int | float) else None


def _exhausted(config: RepeatConfig, state: _State) -> Outcome:
    if config.on_exhausted == "complete":
        return state.finished()
    message = f"the loop was not over after {config.max_iterations} iterations"
    return Failed(message, kind="LoopExhausted", retryable=False, details={"last": state.last})
