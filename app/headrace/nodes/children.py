"""What nodes that start other runs have in common: their answers, and how they are told of a bad end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """The failure of a node whose children failed. They have retries of their own: it is not repeated."""
    shown: list[JsonValue] = [
        {"index": one.index, "status": one.status, "error": one.message, "runId": one.run_id}
        for one in failed[:_SHOWN]
    ]
    return Failed(
        message,
        kind="ChildFailed",
        retryable=False,
        details={"failed": len(failed), "children": shown},
    )
