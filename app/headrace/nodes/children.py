"""What nodes that start other runs have in common: their answers, and how they are told of a bad end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.graph.culprits import CHILD_FAILED, MOST_OF_A_CHAIN, shortened
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed

SUCCEEDED = "succeeded"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """How one child ended. status: of its run. error: None when it ended well."""

    index: int
    status: str
    output: JsonValue
    error: JsonObject | None
    run_id: str

    @property
    def is_well(self) -> bool:
        return self.status == SUCCEEDED

    @property
    def message(self) -> str:
        """Why it did not end well."""
        return "" if self.error is None else str(self.error.get("message", self.status))

    @property
    def name(self) -> str:
        """Its run, in a message."""
        return f"run {self.run_id}"

    def as_json(self) -> JsonObject:
        return {
            "index": self.index,
            "status": self.status,
            "output": self.output,
            "error": self.error,
            "runId": self.run_id,
        }


def read_answers(wake: JsonValue) -> list[Answer] | None:
    """The children's answers, in order; None when the node was woken because its time is up."""
    listed = wake.get("children") if isinstance(wake, dict) else None
    if not isinstance(listed, list):
        return None
    return [_answer(one) for one in listed if isinstance(one, dict)]


def _answer(one: JsonObject) -> Answer:
    index, error = one.get("index"), one.get("error")
    return Answer(
        index=index if isinstance(index, int) else 0,
        status=str(one.get("status")),
        output=one.get("output"),
        error=error if isinstance(error, dict) else None,
        run_id=str(one.get("runId")),
    )


def child_failed(message: str, failed: Sequence[Answer]) -> Failed:
    """The failure of a node whose children failed. They have retries of their own: it is not repeated.

    details: the first few of them, and `root`, the node of the run below where the first failure began.
    """
    shown: list[JsonValue] = [
        {"index": one.index, "status": one.status, "error": one.message, "runId": one.run_id}
        for one in failed[:_SHOWN]
    ]
    details: JsonObject = {"failed": len(failed), "children": shown}
    roots = [one.error["root"] for one in failed if one.error is not None and "root" in one.error]
    if roots:
        details["root"] = roots[0]
    return Failed(shortened(message, MOST_OF_A_CHAIN), CHILD_FAILED, retryable=False, details=details)
