"""Which tasks others wait for, or did not run because of: each chain from a task down to its root.

Positions are a topological order, so one pass over a run's tasks finds all chains. A task keeps its first
few roots only: the work is in proportion to the tasks and edges, whatever the graph looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headrace.graph.explain_facts import RunFacts, TaskFacts
from headrace.graph.states import TaskStatus

SHOWN = 3
"""Roots of a task that are told, and nodes of a chain before its root."""

NOT_RUN = frozenset({TaskStatus.SKIPPED, TaskStatus.UPSTREAM_FAILED, TaskStatus.CANCELLED})
"""States of tasks that ended without running, or that were stopped."""


@dataclass(frozen=True, slots=True)
class Link:
    """A root, the next task on the way to it, and how many steps there are."""

    root: int
    via: int
    steps: int = 1


@dataclass(frozen=True, slots=True)
class Path:
    """The way from a task to a root. left_out: tasks between the last step and the root."""

    steps: tuple[int, ...]
    root: int
    left_out: int


class Chains:
    """The chains of one run."""

    def __init__(self, run: RunFacts) -> None:
        self._run = run
        self.roots = sorted(
            position
            for position, task in run.tasks.items()
            if task.is_open and task.status is not TaskStatus.PENDING
        )
        """The tasks that keep the run from going on: those that are open and not pending."""
        self._links: dict[int, tuple[Link, ...]] = {}
        nodes = run.plan.nodes
        for position in sorted(run.tasks, key=lambda one: (nodes[one].is_final, one)):
            self._links[position] = self._found(run.tasks[position])

    def paths(self, position: int) -> list[Path]:
        """The ways from a task to its roots, the first few; none for a task that is a root itself."""
        return [self._path(position, link) for link in self._links.get(position, ())[:SHOWN]]

    def has_more(self, position: int) -> bool:
        """Whether it has more roots than `paths` gives."""
        return len(self._links.get(position, ())) > SHOWN

    def _found(self, task: TaskFacts) -> tuple[Link, ...]:
        if task.status is TaskStatus.PENDING:
            return _first(self._before(task.position))
        return _first(self._blamed(task)) if task.status in NOT_RUN else ()

    def _before(self, position: int) -> Iterator[Link]:
        """What a pending task waits for."""
        run = self._run
        node = run.plan.nodes[position]
        if node.is_final and not node.in_edges:
            yield from (Link(root, root) for root in self.roots if not run.plan.nodes[root].is_final)
        for edge in run.plan.into(position):
            source = run.tasks.get(edge.source)
            if source is not None and source.is_open:
                yield from self._through(source)

    def _through(self, source: TaskFacts) -> Iterator[Link]:
        links = self._links.get(source.position, ())
        if source.status is not TaskStatus.PENDING or not links:
            yield Link(source.position, source.position)
        else:
            yield from (Link(link.root, source.position, link.steps + 1) for link in links)

    def _blamed(self, task: TaskFacts) -> Iterator[Link]:
        """Whose end decided that the task does not run. A join that was met stands after its losers."""
        cause = self._run.plan.by_id.get(task.caused_by or "")
        if cause is None:
            return
        source = self._run.tasks.get(cause.position)
        links = self._links.get(cause.position, ())
        if source is not None and source.status in NOT_RUN and links:
            yield Link(links[0].root, cause.position, links[0].steps + 1)
        else:
            yield Link(cause.position, cause.position)

    def _path(self, position: int, link: Link) -> Path:
        steps = [position]
        while link.via != link.root and len(steps) < SHOWN:
            steps.append(link.via)
            link = next(one for one in self._links[link.via] if one.root == link.root)
        return Path(tuple(steps), link.root, link.steps - 1)


def _first(links: Iterable[Link]) -> tuple[Link, ...]:
    """One link for each root, for one root more than is shown."""
    found: dict[int, Link] = {}
    for link in links:
        found.setdefault(link.root, link)
        if len(found) > SHOWN:
            break
    return tuple(found.values())
