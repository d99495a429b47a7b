"""Running ahead: nodes that take no time and become ready by a settlement are run before it is written.

One statement then records them all, so that a chain of ten such nodes costs one commit and not ten. A node
runs ahead only where the plan alone says that it is ready: all its parents complete in this very settlement.
Should its run turn out to be stopped, paused or debugged meanwhile, then it never ran: its answer is dropped,
and it is released the ordinary way. That is why only nodes that do nothing to the world may run ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from headrace.engine.execute import takes_no_time
from headrace.engine.handover import Completed
from headrace.engine.prepare import Execution, execution_of
from headrace.engine.program import KnownRuns
from headrace.graph.ids import TaskId
from headrace.graph.inputs import Result, needed
from headrace.graph.shortcut import may_run_ahead
from headrace.store.claims import Claim

AT_ONCE = 256
"""Nodes that run ahead of one settlement: all are one transaction."""

SECONDS = 0.02
"""For so long nodes are run ahead of one settlement: meanwhile nothing else happens in the process."""

SIZE_LIMIT = 16 * 1024
"""Bytes of an output that others may run ahead on."""

Answer = Callable[[Execution], Completed | None]
"""Runs a node; None when its end is none that may be handed over."""


def run_ahead(runs: KnownRuns, batch: Sequence[Completed], answer: Answer) -> list[Completed]:
    """Runs what becomes ready by a batch of completions, and by those that follow: parents first."""
    found: list[Completed] = []
    deadline = monotonic() + SECONDS
    for front in _fronts(one for one in batch if not runs.had_detour(one.execution.task.run_id)):
        for execution in front.ready():
            if len(found) == AT_ONCE or monotonic() > deadline:
                return found
            if (completed := answer(execution)) is not None:
                found.append(completed)
                front.add(completed)
    return found


def _fronts(batch: Iterable[Completed]) -> list[_Front]:
    fronts: dict[UUID, _Front] = {}
    for one in batch:
        run = one.execution.run
        if not run.is_child and may_run_ahead(run.program.plan):
            fronts.setdefault(one.execution.task.run_id, _Front(one.execution)).add(one)
    return list(fronts.values())


@dataclass(slots=True)
class _Front:
    """How far one run has come in this settlement. any: one of its executions.

    done: what completed here. results: what those left, for the inputs of others. missing: in-edges of others
    that are not in yet. waiting: those that have none left.
    """

    any: Execution
    done: dict[int, Completed] = field(default_factory=dict)
    results: dict[TaskId, Result] = field(default_factory=dict)
    missing: dict[int, int] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)

    def add(self, one: Completed) -> None:
        """Tells the successors of a completion."""
        position, plan = one.execution.task.position, self.any.program.plan
        self.done[position] = one
        for edge in plan.out(position):
            left = self.missing.get(edge.target, len(plan.nodes[edge.target].in_edges)) - 1
            self.missing[edge.target] = left
            if left == 0:
                self.waiting.append(edge.target)

    def ready(self) -> Iterator[Execution]:
        """Those that may run now; more come as completions are added."""
        while self.waiting:
            position = self.waiting.pop(0)
            if self._is_quick(position) and self._has_all(position):
                yield self._execution(position)

    def _is_quick(self, position: int) -> bool:
        node, run = self.any.program.plan.nodes[position], self.any.run
        return takes_no_time(run, position) and not (node.uses_variables or node.secrets)

    def _has_all(self, position: int) -> bool:
        """Whether all that its input and texts need completed here, and is short."""
        sources = needed(self.any.program.plan, position, None)
        return sources <= self.done.keys() and all(
            len(self.done[source].settlement.output or "") <= SIZE_LIMIT for source in sources
        )

    def _execution(self, position: int) -> Execution:
        run_id, plan = self.any.task.run_id, self.any.program.plan
        for source in needed(plan, position, None):
            task = TaskId(run_id, source)
            if task not in self.results:
                self.results[task] = self.done[source].result()
        first = Claim(TaskId(run_id, position), plan.nodes[position].id, 1, 1, 0, None, None, 0)
        return execution_of(self.any.db, first, self.any.run, self.results)
