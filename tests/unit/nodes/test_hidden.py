"""What a node tells while it runs holds no secret."""

from __future__ import annotations

from dataclasses import replace

from headrace.graph.redaction import Redaction
from headrace.nodes.lanes import Heartbeat, NoLanes

from .conftest import context


def test_a_heartbeat_tells_no_secret() -> None:
    told: list[Heartbeat] = []

    class Listening(NoLanes):
        def heartbeat(self, task: str, beat: Heartbeat) -> None:  # noqa: ARG002
            told.append(beat)

    here = replace(context(None), lanes=Listening(), hidden=Redaction(["sesame"]))
    here.heartbeat(0.5, {"at": "page of sesame"})
    replace(here, hidden=None).heartbeat(None, "open")
    assert told == [Heartbeat(0.5, {"at": "page of ***"}), Heartbeat(None, "open")]
