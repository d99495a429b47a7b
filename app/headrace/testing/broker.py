"""A broker without a queue: it keeps what it is given, and hands it out to whoever asks."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.graph.dispatch import Dispatch, Release, RunTask, Withdraw


class RecordingBroker:
    """Takes dispatches as `headrace.queues.broker.Broker` does.

    pushed: all that it was ever given, in order. pending: jobs that nobody has taken yet.
    """

    def __init__(self) -> None:
        self.pushed: list[Dispatch] = []
        self.pending: list[RunTask | Release] = []

    def push(self, dispatches: Sequence[Dispatch]) -> None:
        """Keeps all of it; what is withdrawn is no longer pending."""
        self.pushed += dispatches
        for dispatch in dispatches:
            match dispatch:
                case RunTask() | Release():
                    self.pending.append(dispatch)
                case Withdraw(job_ids=job_ids):
                    self._withdraw(set(job_ids))

    async def push_async(self, dispatches: Sequence[Dispatch]) -> None:
        """The same as `push`."""
        self.push(dispatches)

    def take(self, place: int = 0) -> RunTask | Release:
        """Hands out the job at this place of `pending`, the oldest by default. Raises IndexError."""
        return self.pending.pop(place)

    def _withdraw(self, job_ids: set[str]) -> None:
        self.pending = [
            one for one in self.pending if not (isinstance(one, RunTask) and one.job_id in job_ids)
        ]
