"""Answers of nodes that are not run: in a test run of a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome

_KEYS = ("output", "branches", "error")
_ERROR_KEYS = ("type", "message")
_HINT = 'an object that is itself the output is written {"output": {...}}'


def read_mock(mock: JsonValue) -> Outcome:
    """A mock as an answer: `{output, branches?}`, or `{error: {type?, message?}}` for one that fails.

    Any other value is the output itself.
    """
    if isinstance(mock, dict) and isinstance(error := mock.get("error"), dict):
        message, kind = error.get("message", "mocked"), error.get("type", "MockedError")
        return Failed(str(message), kind=str(kind), retryable=False)
    if isinstance(mock, dict) and mock and mock.keys() <= {"output", "branches"}:
        named = mock.get("branches")
        branches = frozenset(map(str, named)) if isinstance(named, list) else frozenset[str]()
        return Done(mock.get("output"), branches)
    return Done(mock)


def mock_problems(mock: JsonValue, branches: Sequence[str] | None) -> list[Problem]:
    """What is wrong with a mock; paths are relative to it. branches: those of its node, None if unknown.

    An object is read as an answer as soon as one of its keys is one of an answer, or nearly so.
    """
    if not isinstance(mock, dict) or not _is_answer(mock):
        return []
    unknown = [_unknown(key, _KEYS, "a mock") for key in mock if key not in _KEYS]
    return [*unknown, *_error_problems(mock), *_branch_problems(mock.get("branches", []), branches)]


def _is_answer(mock: JsonObject) -> bool:
    return any(key in _KEYS or get_close_matches(key, _KEYS, cutoff=0.8) for key in mock)


def _unknown(key: str, known: Sequence[str], what: str) -> Problem:
    near = get_close_matches(key, known, n=1)
    meant = f": did you mean '{near[0]}'?" if near else ""
    return Problem(key, f"{what} has no '{key}'{meant}", _HINT if what == "a mock" else "")


def _error_problems(mock: JsonObject) -> Iterator[Problem]:
    error = mock.get("error")
    if "error" not in mock:
        return
    if "output" in mock or "branches" in mock:
        yield Problem("error", "a mock either answers or fails")
    if not isinstance(error, dict):
        yield Problem("error", "is no object", 'as {"type": "Down", "message": "no"}')
        return
    for key in error:
        if key not in _ERROR_KEYS:
            problem = _unknown(key, _ERROR_KEYS, "an error")
            yield Problem(f"error.{key}", problem.message)


def _branch_problems(named: JsonValue, branches: Sequence[str] | None) -> Iterator[Problem]:
    if not isinstance(named, list):
        yield Problem("branches", "is no list", 'as ["out-true"]')
        return
    for one in named if branches is not None else ():
        if one not in (branches or ()):
            known = ", ".join(branches or ()) or "none"
            yield Problem("branches", f"the node has no branch '{one}'", f"known: {known}")
