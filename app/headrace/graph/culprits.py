"""Why a run failed, for whoever waits for it: the node, its error, and down through runs to the root."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from headrace.graph.json_types import JsonObject

CHILD_FAILED = "ChildFailed"
"""The type of the error of a node whose children failed: its message names them."""

NODE_FAILED = "node '%s' failed"
"""The reason of a run that a node failed, with the node's id."""

MOST_OF_AN_ERROR = 400
"""Characters of the text of one node's error that are carried up."""

MOST_OF_A_CHAIN = 2_000
"""Characters of a message that names runs in runs."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The node that a run failed with, and its error. root: of the run below where it began, if one is."""

    run_id: UUID
    node_id: str
    kind: str
    message: str
    root: JsonObject | None = None

    @property
    def text(self) -> str:
        """`node 'x' failed: HttpError: 503`; runs below it are in its message."""
        if self.kind == CHILD_FAILED:
            return shortened(f"node '{self.node_id}' failed: {self.message}", MOST_OF_A_CHAIN)
        return f"node '{self.node_id}' failed: {self.kind}: {shortened(self.message, MOST_OF_AN_ERROR)}"

    def as_root(self) -> JsonObject:
        """Where it all began: `{runId, nodeId, type, message}`."""
        if self.root is not None:
            return self.root
        message = shortened(self.message, MOST_OF_AN_ERROR)
        return {"runId": str(self.run_id), "nodeId": self.node_id, "type": self.kind, "message": message}


def shortened(text: str, most: int) -> str:
    """A text with at most so many characters. The middle is left out: the root is at the end."""
    mark = " ... "
    if len(text) <= most:
        return text
    end = (most - len(mark)) // 2
    return text[: most - len(mark) - end] + mark + text[-end:]
