"""Answers of nodes that are not run: in a test run of a workflow."""

from __future__ import annotations

from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed, Outcome


def read_mock(mock: JsonValue) -> Outcome:
    """A mock as an answer: `{output, branches?}`, or `{error: {type?, message?}}` for one that fails.

    Any other value is the output itself.
    """
    if isinstance(mock, dict) and isinstance(error := mock.get("error"), dict):
        message, kind = error.get("message", "mocked"), error.get("type", "MockedError")
        return Failed(str(message), kind=str(kind), retryable=False)
    if isinstance(mock, dict) and mock.keys() <= {"output", "branches"} and "output" in mock:
        named = mock.get("branches")
        return Done(mock["output"], frozenset(map(str, named)) if isinstance(named, list) else frozenset())
    return Done(mock)
