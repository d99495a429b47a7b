"""Why tasks do not run: for each of them, the chain of causes down to its root, as data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

from headrace.graph.culprits import NODE_FAILED
from headrace.graph.explain_causes import Cause, CauseKind, sentence, since, until
from headrace.graph.explain_chains import NOT_RUN, SHOWN, Chains, Path
from headrace.graph.explain_facts import Facts, RunFacts, TaskFacts
from headrace.graph.explain_task import end_verb, key_cause, own_causes, paused
from headrace.graph.ids import TaskId
from headrace.graph.join import Rule
from headrace.graph.states import ENDED, RUN_ENDED, RunStatus, TaskStatus

DEEPEST = 12
"""Runs of children in children that one explanation follows. Real ones are not as deep; data that is read
in several statements must not lead in a circle."""

_K = CauseKind


@dataclass(frozen=True, slots=True)
class TaskExplanation:
    """Why a task does not run, or did not. has_more: it waits for more than `causes` tells."""

    task: TaskId
    node_id: str
    status: TaskStatus
    causes: tuple[Cause, ...]
    has_more: bool = False

    @property
    def text(self) -> str:
        """In words, without the subject."""
        return sentence(self.causes, self.has_more)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run does not go on or failed, and each of its tasks that do not run, did not, or failed."""

    run_id: UUID
    status: RunStatus
    causes: tuple[Cause, ...]
    has_more: bool
    tasks: tuple[TaskExplanation, ...]

    @property
    def text(self) -> str:
        """Of the run, in words, without the subject; '' when it has ended without a failure."""
        return sentence(self.causes, self.has_more)

    def lines(self) -> dict[TaskId, str]:
        """A line for each task that has not ended and does not run."""
        return {one.task: one.text for one in self.tasks if one.status not in ENDED}


def explain_run(facts: Facts, run_id: UUID) -> Explanation:
    """Explains one of the runs that the facts tell of."""
    return _Explainer(facts, facts.runs[run_id]).explanation()


def explain_node(facts: Facts, run_id: UUID, node_id: str) -> Explanation:
    """As `explain_run`, with one node's task only, wherever it stands; KeyError without such a node."""
    explainer = _Explainer(facts, facts.runs[run_id])
    return replace(explainer.explanation(), tasks=explainer.of_node(node_id))


class _Explainer:
    """One run; `depth` runs stand above it in this explanation."""

    def __init__(self, facts: Facts, run: RunFacts, depth: int = 0) -> None:
        self._facts = facts
        self._run = run
        self._depth = depth
        self._known: dict[int, tuple[Cause, ...]] = {}

    @cached_property
    def _chains(self) -> Chains:
        return Chains(self._run)

    def explanation(self) -> Explanation:
        run = self._run
        has_more = run.status not in RUN_ENDED and len(self._chains.roots) > SHOWN
        tasks = tuple(
            self._task(task)
            for _, task in sorted(run.tasks.items())
            if task.status not in (TaskStatus.RUNNING, TaskStatus.COMPLETED)
        )
        return Explanation(run.id, run.status, self.run_causes(), has_more, tasks)

    def of_node(self, node_id: str) -> tuple[TaskExplanation, ...]:
        """The explanation of one node's task; none while its run has no tasks."""
        position, run = self._run.plan.by_id[node_id].position, self._run
        if position in run.tasks:
            return (self._task(run.tasks[position]),)
        if run.status is RunStatus.QUEUED:
            return ()
        told = TaskFacts(position, node_id, TaskStatus.COMPLETED, is_propagated=True)
        return (self._task(told),)

    def run_causes(self) -> tuple[Cause, ...]:
        """Why the run has not ended: it has not begun, is paused or stopped, and what its tasks wait for.

        Or why it failed.
        """
        run = self._run
        if run.status in RUN_ENDED:
            return self._failure()
        if run.status is RunStatus.QUEUED:
            return (self._turn(),)
        whole: list[Cause] = []
        if run.status is RunStatus.PAUSED:
            text = f"is paused{paused(run.reason)}{since(run.paused_at)}"
            whole.append(Cause(_K.PAUSED, text, since=run.paused_at, details={"reason": run.reason}))
        elif run.verdict is not None:
            why = f": {run.reason}" if run.reason else ""
            whole.append(Cause(_K.STOPPING, f"is being ended as {run.verdict}{why}"))
        return (*whole, *(self._waits_for(root) for root in self._chains.roots[:SHOWN]))

    def _failure(self) -> tuple[Cause, ...]:
        """The node that it failed with, or what else ended it."""
        run = self._run
        if run.status is not RunStatus.FAILED:
            return ()
        failed = (task for task in run.tasks.values() if task.status is TaskStatus.FAILED)
        culprit = next((task for task in failed if run.reason == NODE_FAILED % task.node_id), None)
        if culprit is None:
            return (Cause(_K.ENDED, f"failed: {run.reason}", details={"status": run.status.value}),)
        causes = tuple(one.brief() for one in self._own(culprit))
        text = f"failed because of node {culprit.node_id}"
        return (Cause(_K.NODE, text, culprit.node_id, run.id, causes=causes),)

    def _turn(self) -> Cause:
        run = self._run
        if run.key is not None:
            return key_cause(run.key, run.holders, run.ahead)
        if run.is_child:
            return Cause(_K.TURN, "waits for its turn among the children of its parent")
        return Cause(_K.TURN, "waits for its turn")

    def _waits_for(self, position: int) -> Cause:
        task = self._run.tasks[position]
        causes = tuple(one.brief() for one in self._own(task))
        return Cause(_K.NODE, f"waits for node {task.node_id}", task.node_id, self._run.id, causes=causes)

    def _task(self, task: TaskFacts) -> TaskExplanation:
        paths = self._chains.paths(task.position)
        causes = tuple(self._chain(path) for path in paths) or self._own(task)
        has_more = self._chains.has_more(task.position)
        return TaskExplanation(
            TaskId(self._run.id, task.position), task.node_id, task.status, causes, has_more
        )

    def _own(self, task: TaskFacts) -> tuple[Cause, ...]:
        """What keeps a task itself; with what its children wait for, if it waits for children."""
        if task.position not in self._known:
            causes = (
                (self._unblamed(task),)
                if task.status is TaskStatus.PENDING
                else own_causes(self._facts, task)
            )
            self._known[task.position] = tuple(self._with_children(task, one) for one in causes)
        return self._known[task.position]

    def _unblamed(self, task: TaskFacts) -> Cause:
        """A pending task before which nothing is open."""
        undone = self._run.plan.nodes[task.position].compensates
        if undone is not None:
            node_id = self._run.plan.nodes[undone].id
            text = f"runs only to undo node {node_id}, once the run has failed or was cancelled"
            return Cause(_K.COMPENSATION, text, node_id=node_id)
        return Cause(_K.RELEASE, "is about to be released: all that it waited for has ended")

    def _with_children(self, task: TaskFacts, cause: Cause) -> Cause:
        """With the runs that it waits for, or that it failed with."""
        ids = self._facts.children.get(TaskId(self._run.id, task.position), ())
        runs = [self._facts.runs[run_id] for run_id in ids if run_id in self._facts.runs]
        if cause.kind not in (_K.CHILDREN, _K.ENDED) or self._depth >= DEEPEST or not runs:
            return cause
        if cause.kind is _K.ENDED:
            text = end_verb(task.status)
        else:
            text = cause.text if runs[0].is_body else f"waits for its sub-workflow{until(task.wake_at)}"
        return replace(cause, text=text, causes=tuple(self._child(run) for run in runs))

    def _child(self, run: RunFacts) -> Cause:
        causes = _Explainer(self._facts, run, self._depth + 1).run_causes()
        return Cause(
            _K.CHILD,
            f"child {run.child_index} (run {run.id})" if run.is_body else f"run {run.id}",
            run_id=run.id,
            details={"index": run.child_index, "status": run.status.value},
            causes=tuple(one.brief() for one in causes),
        )

    def _chain(self, path: Path) -> Cause:
        """From the first step of the path to its root, each step the cause of the one before."""
        causes = tuple(one.brief() for one in self._root(path.root))
        target, left_out = path.root, path.left_out
        for step in reversed(path.steps):
            between = f" ({left_out} more between)" if left_out else ""
            node_id = self._run.plan.nodes[target].id
            text = f"{self._verb(self._run.tasks[step])} node {node_id}{between}"
            cause = Cause(_K.NODE, text, node_id, self._run.id, causes=causes)
            causes, target, left_out = (cause,), step, 0
        return causes[0]

    def _root(self, position: int) -> Sequence[Cause]:
        task = self._run.tasks.get(position)
        if task is None:
            return (Cause(_K.ENDED, "completed", details={"status": TaskStatus.COMPLETED.value}),)
        return self._own(task)

    def _verb(self, task: TaskFacts) -> str:
        if task.status in NOT_RUN:
            return f"{end_verb(task.status)}{_given(task.reason)} because of"
        node = self._run.plan.nodes[task.position]
        if node.is_final and not node.in_edges:
            return "runs when all others have ended, and waits for"
        return "waits for" if node.join.rule is Rule.ALL else f"waits (join {node.join}) for"


def _given(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
