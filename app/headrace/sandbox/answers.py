"""What the end of a cell means. A cell may say anything: its answer is read as a stranger's."""

from __future__ import annotations

import json
import signal
from typing import cast

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed
from headrace.graph.visible import visible
from headrace.nodes.json_text import NestedTooDeep, read_json
from headrace.nodes.lanes import Language, Program, Sandboxed, SandboxFailed, SandboxLimits
from headrace.sandbox.cell.trouble import LONGEST_DETAILS, LONGEST_KIND, LONGEST_MESSAGE, LONGEST_WAIT
from headrace.sandbox.cell.wire import Answer, Trouble
from headrace.sandbox.checked import Checked, takes_of
from headrace.sandbox.owner import Ended

MOST_LINES = 1_000
LONGEST_LINE = 20_000

_LAST_LINE = 10_000_000

_TOO_DEEP = Failed("the output is nested too deep", kind="BadOutput", retryable=False)


def sandboxed_of(language: Language, limits: SandboxLimits, ended: Ended) -> Sandboxed:
    """Raises SandboxFailed."""
    log = lines_of(ended.out)
    if (failed := _killed(limits, ended)) is not None:
        raise SandboxFailed(failed, log)
    if language == "bash" and ended.answer is None:
        return _of_bash(ended, log)
    try:
        answer = _readable(ended.answer or b"")
    except NestedTooDeep:
        raise SandboxFailed(_TOO_DEEP, log) from None
    if answer is None:
        raise SandboxFailed(_dead(ended), log)
    if answer["trouble"] is not None:
        raise SandboxFailed(_failed(answer["trouble"], limits), log)
    return Sandboxed(cast(JsonValue, answer["output"]), log)


def checked_of(program: Program, limits: SandboxLimits, ended: Ended) -> Checked:
    """What is wrong is a problem, whatever it is; a kernel without walls raises SandboxFailed."""
    try:
        output = sandboxed_of(program.language, limits, ended).output
    except SandboxFailed as error:
        if error.failed.kind == "SandboxUnavailable":
            raise
        return Checked((_problem(error.failed),))
    functions = output if isinstance(output, dict) else {}
    names = tuple(functions)
    if program.entry and program.language != "bash" and program.entry not in names:
        message = f"there is no function '{program.entry}'"
        return Checked((Problem("entry", message, f"one of: {', '.join(names)}" if names else ""),), names)
    return Checked((), names, takes_of(functions))


def lines_of(out: bytes) -> tuple[str, ...]:
    """What a program wrote, as lines for a run's log; the last of too many says how many are missing.

    Whoever reads them may do so in a terminal.
    """
    return tuple(visible(line)[:LONGEST_LINE] for line in _written(out))


def _written(out: bytes) -> list[str]:
    text = out.decode("utf-8", "replace").replace("\0", "\\0").removesuffix("\n")
    lines = text.split("\n") if text else []
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = [f"({len(lines) - MOST_LINES + 1} more lines)"]
    return [line.rstrip("\r")[:LONGEST_LINE] for line in lines]


def _problem(failed: Failed) -> Problem:
    line = failed.details.get("line") if isinstance(failed.details, dict) else None
    return Problem("source", f"{failed.message} (line {line})" if line else failed.message)


def _killed(limits: SandboxLimits, ended: Ended) -> Failed | None:
    """Why it was killed, if it was."""
    if ended.is_cut:
        return Failed(
            f"the program wrote more than {limits.output_bytes} bytes", kind="OutputTooLarge", retryable=False
        )
    if ended.end is None:
        return Failed("the sandbox has ended before the program", kind="ProcessDied")
    if ended.end["why"] == "disk":
        return Failed("the program wrote too many or too large files", kind="DiskFull", retryable=False)
    if ended.end["why"] == "time" or ended.end["status"] == -signal.SIGXCPU:
        return _too_long(limits)
    return None


def _too_long(limits: SandboxLimits) -> Failed:
    return Failed(f"the program took longer than {limits.seconds:g} s", kind="Timeout")


def _dead(ended: Ended) -> Failed:
    status = ended.end["status"] if ended.end else 0
    if status >= 0:
        return Failed(f"the program's process ended with status {status} before it answered", "ProcessDied")
    name = signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
    return Failed(f"the program's process was killed by {name}", "ProcessDied")


def _of_bash(ended: Ended, log: tuple[str, ...]) -> Sandboxed:
    """The value that it wrote, if all of it is JSON; else the text."""
    status = ended.end["status"] if ended.end else 0
    if status != 0:
        raise SandboxFailed(Failed(f"bash ended with status {status}", kind="ExitStatus"), log)
    text = "\n".join(_written(ended.out))
    try:
        return Sandboxed(read_json(text), log)
    except ValueError:
        return Sandboxed(text, log)


def _readable(body: bytes) -> Answer | None:
    """An answer as the cell's own code would give it, without what cannot be stored. Raises NestedTooDeep."""
    try:
        answer: object = read_json(body.decode("utf-8", "surrogatepass"))
    except NestedTooDeep:
        raise
    except ValueError:
        return None
    if not isinstance(answer, dict) or answer.keys() != Answer.__annotations__.keys():
        return None
    trouble = answer["trouble"]
    if trouble is None:
        return cast(Answer, answer)
    kinds: dict[str, type] = {"kind": str, "message": str, "line": int, "retryable": bool}
    if not isinstance(trouble, dict) or trouble.keys() != {*kinds, "said"}:
        return None
    is_sound = all(isinstance(trouble[key], kind) for key, kind in kinds.items()) and _is_said(
        trouble["said"]
    )
    return cast(Answer, answer) if is_sound else None


def _is_said(said: object) -> bool:
    match said:
        case None:
            return True
        case {"details": _, "after": None | int() | float() as after, **more}:
            return not more and (after is None or 0 <= after <= LONGEST_WAIT)
        case _:
            return False


def _failed(trouble: Trouble, limits: SandboxLimits) -> Failed:
    if trouble["kind"] == "Timeout":
        return _too_long(limits)
    kind, message = trouble["kind"][:LONGEST_KIND], trouble["message"][:LONGEST_MESSAGE]
    if (said := trouble["said"]) is not None:
        again, details = trouble["retryable"], _short_or_none(cast(JsonValue, said["details"]))
        return Failed(message, kind, again, details, said["after"], asks_again=again)
    is_line = 0 < trouble["line"] <= _LAST_LINE
    line: JsonObject | None = {"line": int(trouble["line"])} if is_line else None
    return Failed(message, kind, trouble["retryable"], line)


def _short_or_none(details: JsonValue) -> JsonValue:
    return details if len(json.dumps(details)) <= LONGEST_DETAILS else None
