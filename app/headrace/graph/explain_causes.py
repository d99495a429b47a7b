"""A cause, as data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from headrace.graph.json_types import JsonObject


class CauseKind(StrEnum):
    """What keeps a task or a run from going on."""

    NODE = "node"
    RUNNING = "running"
    QUEUED = "queued"
    NO_WORKER = "no_worker"
    ACTIVITY = "activity"
    JOBS_AHEAD = "jobs_ahead"
    LOST_JOB = "lost_job"
    TIMER = "timer"
    RETRY = "retry"
    SIGNAL = "signal"
    CHILDREN = "children"
    CHILD = "child"
    KEY = "key"
    RATE = "rate"
    BREAKPOINT = "breakpoint"
    PAUSED = "paused"
    TURN = "turn"
    COMPENSATION = "compensation"
    RELEASE = "release"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Cause:
    """One link of a chain. causes: why it is so, down to the root.

    text: a clause without its subject, as `waits for node b`. node_id, run_id: which is meant, if one is.
    details: what is particular to the kind.
    """

    kind: CauseKind
    text: str
    node_id: str | None = None
    run_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    details: JsonObject = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()

    def brief(self) -> Cause:
        """With one cause of each cause: to be told again with every task that it keeps waiting."""
        return replace(self, causes=tuple(one.brief() for one in self.causes[:1]))


def sentence(causes: Sequence[Cause], has_more: bool = False) -> str:
    """The chains in words, without a subject: `waits for node b, which waits for signal approve`."""
    parts = [_clause(one) for one in causes]
    return "; ".join([*parts, "and there are more causes"] if has_more else parts)


_LINKS = {CauseKind.NODE: (", which ", " and "), CauseKind.CHILD: (" ", " and ")}
_OTHER_LINK = (": ", "; ")


def _clause(cause: Cause) -> str:
    if not cause.causes:
        return cause.text
    link, between = _LINKS.get(cause.kind, _OTHER_LINK)
    return cause.text + link + between.join(_clause(one) for one in cause.causes)


def moment(at: datetime) -> str:
    """A time as people read it, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def until(at: datetime | None) -> str:
    """` until ...`, or nothing."""
    return "" if at is None else f" until {moment(at)}"


def since(at: datetime | None) -> str:
    """` since ...`, or nothing."""
    return "" if at is None else f" since {moment(at)}"
