"""code: a program of one's own, in Python or JavaScript, in a sandbox."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias, assert_never

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.config import load
from headrace.errors import HeadraceError, Problem
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.activity_facts import told_of
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.json_text import read_json
from headrace.nodes.lanes import Language, Program, SandboxLimits, usual_limits

CodeLanguage: TypeAlias = Literal["python", "javascript", "json", "bash", "typescript"]


class CodeConfig(Config):
    """What to run, and how much it may use."""

    language: CodeLanguage = Field(
        default="python",
        description="python, javascript, or json for a literal; bash only under HEADRACE_UNSAFE_CODE.",
    )
    code: str = Field(
        default="",
        validation_alias=AliasChoices("code", "source", "script"),
        description="The source. `input` is what it is given; nothing in it is filled in.",
        json_schema_extra={"format": "textarea"},
    )
    input: AnyJson = Field(
        default=None,
        description="What the program gets as `input`; strings may hold `${ path }`. Empty: the input.",
    )
    timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        validation_alias=AliasChoices("timeoutSeconds", "timeout_seconds", "timeout"),
        description="After so long it is killed. Empty: 30 s for Python, 0.25 s for JavaScript.",
    )
    memory_mb: int | None = Field(
        default=None,
        ge=8,
        le=4096,
        validation_alias=AliasChoices("memoryMb", "memory_mb"),
        description="MiB that it may use. Empty: 256 for Python, 32 for JavaScript.",
    )


class Code(NodeType[CodeConfig]):
    """Its output is the program's answer; what the program writes goes to the run's log."""

    type = "code"
    group = "Input & Data"
    description = "Runs Python or JavaScript in a sandbox."
    config_model = CodeConfig

    def check(self, config: CodeConfig) -> Iterable[Problem]:
        if config.memory_mb is not None and config.memory_mb > (most := load().sandbox_memory_mb):
            reason = f"must be at most {most}, which HEADRACE_SANDBOX_MEMORY_MB allows"
            yield Problem("memoryMb", reason)
        match config.language:
            case "typescript":
                yield Problem("language", "TypeScript is not run: there is no compiler here", "javascript")
            case "bash" if not load().unsafe_code:
                reason = "bash has no sandbox, for it starts other programs; HEADRACE_UNSAFE_CODE=1 allows it"
                yield Problem("language", reason, "python or javascript")
            case "json":
                yield from _json_problems(config.code)
            case _ if not config.code.strip():
                yield Problem("code", "is empty")

    async def start(self, context: NodeContext, config: CodeConfig) -> Outcome:
        match config.language:
            case "json":
                return Done(read_json(config.code))
            case "typescript":
                return Failed("TypeScript is not run", kind="InvalidConfig", retryable=False)
            case "python" | "javascript" | "bash" as language:
                return await _run(context, config, language)
            case _:
                assert_never(config.language)


def _json_problems(code: str) -> Iterable[Problem]:
    try:
        read_json(code)
    except ValueError as error:
        yield Problem("code", f"is no JSON: {error}")


async def _run(context: NodeContext, config: CodeConfig, language: Language) -> Outcome:
    try:
        given = context.input if config.input is None else fill(context, config.input)
    except HeadraceError as error:
        return Failed(error.message, kind=error.code, retryable=False)
    told = told_of(context, Code.type, given) if language == "python" else None
    program = Program(language, config.code, told=told)
    done = await context.run_sandboxed(program, given, _limits(config, language))
    return Done(done.output)


def _limits(config: CodeConfig, language: Language) -> SandboxLimits:
    usual = usual_limits(language)
    return replace(
        usual,
        seconds=config.timeout_seconds or usual.seconds,
        memory_mb=config.memory_mb or usual.memory_mb,
    )
