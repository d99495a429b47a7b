"""Running ahead: nodes that take no time and become ready by a settlement are run before it is written.

One statement then records them all, so that a chain of ten such nodes costs one commit and not ten. A node
runs ahead only where the plan alone says that it is ready: all its parents complete in this very settlement.
Should its run turn out to be stopped, paused or debugged meanwhile, then it never ran: its answer is dropped,
and it is released the ordinary way. That is why only nodes that do nothing to the world may run ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from headrace.engine.execute import is_instant
from headrace.engine.handover import Completed
from headrace.engine.prepare import Execution, execution_of
from headrace.graph.ids import TaskId
from headrace.graph.inputs import Result, needed
from headrace.graph.shortcut import may_run_ahead
from headrace.store.claims import Claim

AT_ONCE = 256
"""Nodes that run ahead of one settlement: all are one transaction."""

SECONDS = 0.01
"""For so long nodes are run ahead of one settlement: meanwhile nothing else happens in the process."""

SIZE_LIMIT = 16 * 1024
"""Bytes of an output that others may run ahead on."""

Answer = Callable[[Execution], Completed | None]
"""Runs a node; None when its end is none that may be handed over."""


def run_ahead(batch: Sequence[Completed], answer: Answer) -> list[Completed]:
    """Runs what becomes ready by a batch of completions, and by those that follow: parents first."""
    found: list[Completed] = []
    deadline = monotonic() + SECONDS
    for front in _fronts(batch):
        for execution in front.ready():
            if len(found) == AT_ONCE or monotonic() > deadline:
                return found
            if (completed := answer(execution)) is not None:
                found.append(completed)
                front.add(completed)
    return found


def _fronts(batch: Sequence[Completed]) -> list[_Front]:
    fronts: dict[UUID, _Front] = {}
    for one in batch:
        run = one.execution.run
        if not run.is_child and may_run_ahead(run.program.plan):
            fronts.setdefault(one.execution.task.run_id, _Front(one.execution)).add(one)
    return list(fronts.values())


@dataclass(slots=True)
class _Front:
    """How far one run has come in this settlement. any: one of its executions.

    results: what completed here left. missing: in-edges of others that are not in yet.
    """

    any: Execution
    results: dict[TaskId, Result] = field(default_factory=dict)
    missing: dict[int, int] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)

    def add(self, one: Completed) -> None:
        """Tells the successors of a completion."""
        if len(one.settlement.output or "") <= SIZE_LIMIT:
            self.results[one.execution.task] = one.result()
            plan = self.any.program.plan
            for edge in plan.out(one.execution.task.position):
                left = self.missing.get(edge.target, len(plan.nodes[edge.target].in_edges)) - 1
                self.missing[edge.target] = left
                if left == 0:
                    self.waiting.append(edge.target)

    def ready(self) -> Iterator[Execution]:
        """Those that may run now; more come as completions are added."""
        while self.waiting:
            position = self.waiting.pop(0)
            if self._may_run(position) and is_instant(execution := self._execution(position)):
                yield execution

    def _may_run(self, position: int) -> bool:
        run_id, plan = self.any.task.run_id, self.any.program.plan
        at_hand = all(TaskId(run_id, other) in self.results for other in needed(plan, position, None))
        return at_hand and not plan.nodes[position].uses_variables

    def _execution(self, position: int) -> Execution:
        node = self.any.program.plan.nodes[position]
        first = Claim(TaskId(self.any.task.run_id, position), node.id, 1, 1, 0, None, None, 0)
        return execution_of(self.any.db, first, self.any.run, self.results)
