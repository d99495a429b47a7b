"""Starting runs on behalf of a task, in the transaction that records that it waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from headrace.engine import history, turns
from headrace.engine.beginning import add_tasks_to_all
from headrace.engine.children import advance
from headrace.engine.naming import keys_named
from headrace.engine.pinning import choose
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine, Program
from headrace.engine.starting import StartRequest, require_input, start_within
from headrace.engine.taking_over import take_over
from headrace.engine.turns import Turn
from headrace.errors import HeadraceError
from headrace.graph.bodies import path_into, within
from headrace.graph.children import DEEPEST, MOST_TASKS, Batch
from headrace.graph.dispatch import Dispatch
from headrace.graph.holding import Debug
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.graph.outcome import Child, Spawned
from headrace.store import batches, children, events, holds
from headrace.store.children import NewChild, ParentFacts
from headrace.store.codec import dump_optional, size_of
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.runs import ProgramKey

INPUT_LIMIT = 64 * 1024 * 1024
"""Bytes of JSON that the inputs of one batch of children may have together."""


class SpawnRefused(HeadraceError):
    """The children cannot be started, and another attempt would not help."""

    code = "SpawnRefused"


class TooDeep(SpawnRefused):
    """Too many runs stand above each other."""

    code = "TooDeep"


class TooMany(SpawnRefused):
    """The run has too many tasks."""

    code = "TooMany"


class UnknownWorkflow(SpawnRefused):
    """There is no such workflow, or there are several."""

    code = "UnknownWorkflow"


@dataclass(frozen=True, slots=True)
class Spawning:
    """A task that starts others. detached_id: of the run that it does not wait for."""

    execution: Execution
    spawned: Spawned
    detached_id: UUID | None = None

    @property
    def task(self) -> TaskId:
        return self.execution.task


_NO_TURN = Turn()


@dataclass(frozen=True, slots=True)
class _Family:
    """What is to be started for one task. keys: what each of its children executes, in their order.

    turn: of an only child, at its workflow's concurrency key. taken: indexes of children that an earlier
    attempt left and that are used again.
    """

    spawning: Spawning
    parent: ParentFacts
    keys: Sequence[ProgramKey]
    programs: Mapping[ProgramKey, Program]
    turn: Turn = _NO_TURN
    taken: frozenset[int] = frozenset()

    @property
    def task(self) -> TaskId:
        return self.spawning.task

    @property
    def wanted(self) -> list[tuple[Child, ProgramKey]]:
        return list(zip(self.spawning.spawned.children, self.keys, strict=True))

    @property
    def size(self) -> int:
        """How many tasks are to be made."""
        new = (key for child, key in self.wanted if child.index not in self.taken)
        return sum(len(self.programs[key].plan.nodes) for key in new)


@dataclass(frozen=True, slots=True)
class Begun:
    """What to do for children once they are committed. jobs: to push. outdated: runs to cancel for them."""

    jobs: Sequence[Dispatch] = ()
    outdated: Sequence[UUID] = ()


NOTHING_BEGUN = Begun()


async def lock_batches(tx: Tx, spawnings: Sequence[Spawning]) -> dict[TaskId, Batch]:
    """Locks the batches that tasks had before, always before the tasks, and the breakpoints of their runs."""
    if not spawnings:
        return {}
    tasks = [one.task for one in spawnings]
    await holds.keep_breakpoints(tx, {task.run_id for task in tasks})
    return {one.task: one.batch for one in await batches.lock(tx, tasks)}


async def spawn(
    engine: Engine, tx: Tx, spawnings: Sequence[Spawning], earlier: Mapping[TaskId, Batch]
) -> dict[TaskId, Begun]:
    """Starts the children of tasks that this transaction parks; returns what follows, by task.

    earlier: the batches that `lock_batches` found. Raises SpawnRefused, InvalidInput and others of the kind
    when one of the families cannot be started: then nothing of this transaction may be kept.
    """
    parents = await children.parents(tx, [one.task for one in spawnings]) if spawnings else {}
    families = [await _pinned_family(engine, tx, one, parents[one.task]) for one in spawnings]
    left = {one.task: await _leave_behind(tx, one, earlier.get(one.task)) for one in families}
    families = [await _taking_over(engine, tx, one, earlier.get(one.task)) for one in families]
    await _count(tx, families)
    begun = {}
    for family in families:
        is_detached = family.spawning.detached_id is not None
        new = await (_detach(engine, tx, family) if is_detached else _begin(engine, tx, family))
        begun[family.task] = replace(new, outdated=[*new.outdated, *left[family.task]])
    return begun


async def _pinned_family(engine: Engine, tx: Tx, spawning: Spawning, parent: ParentFacts) -> _Family:
    """Its children use the versions of stored activities that their parent uses, and choose only others.

    Those of another project have activities of their own.
    """
    family = await _family(engine, tx, spawning, parent)
    if spawning.detached_id is not None:
        return family
    programs = [family.programs[key] for key in set(family.keys)]
    names, project = frozenset[str]().union(*(one.stored for one in programs)), programs[0].project
    pins = await choose(tx, names, parent.pins if project == parent.project else {}, project)
    return family if pins is parent.pins else replace(family, parent=replace(parent, pins=pins))


async def _family(engine: Engine, tx: Tx, spawning: Spawning, parent: ParentFacts) -> _Family:
    if not spawning.spawned.children:
        raise SpawnRefused("the node asked for children and named none")
    if parent.depth >= DEEPEST and spawning.detached_id is None:
        raise TooDeep(f"{DEEPEST} runs stand above each other already: that is the limit")
    node_id = spawning.execution.node.id
    own = parent.program._replace(body=path_into(parent.program.body, node_id))
    found = {child.workflow for child in spawning.spawned.children if child.workflow is not None}
    project = spawning.execution.program.project
    current = {name: await _current(tx, name, project) for name in sorted(found)}
    keys = [own if one.workflow is None else _pinned(one, current) for one in spawning.spawned.children]
    programs = await engine.programs.load(tx, keys)
    if spawning.detached_id is not None:
        return _Family(spawning, parent, keys, programs)
    for child, key in zip(spawning.spawned.children, keys, strict=True):
        if child.workflow is not None:
            require_input(programs[key], child.input)
    only = spawning.spawned.children[0] if len(keys) == 1 else None
    if only is None or only.workflow is None:
        return _Family(spawning, parent, keys, programs)
    turn = await turns.ask(tx, programs[keys[0]].plan, keys[0].workflow_id, only.input)
    if turn.is_queued and turn.key in await children.keys_above(tx, spawning.task.run_id):
        raise SpawnRefused(f"a run above this one holds the key '{turn.key}' and waits for it")
    return _Family(spawning, parent, keys, programs, turn)


def _pinned(child: Child, current: Mapping[str, ProgramKey]) -> ProgramKey:
    key = current[child.workflow or ""]
    return key if child.version is None else key._replace(version=child.version)


async def _current(tx: Tx, name: str, project: str) -> ProgramKey:
    """The current version of the workflow with this id, or with this name in the project."""
    known = await keys_named(tx, name, project)
    if len(known) > 1:
        raise UnknownWorkflow(f"{len(known)} workflows are named '{name}': give the id")
    if not known:
        raise UnknownWorkflow(f"there is no workflow '{name}'")
    return known[0]


async def _count(tx: Tx, families: Sequence[_Family]) -> None:
    """Counts what is about to be made below each root run. Raises TooMany."""
    new: dict[UUID, int] = {}
    for family in families:
        if family.spawning.detached_id is None:
            new[family.parent.root_id] = new.get(family.parent.root_id, 0) + family.size
    for total in (await children.count_tasks(tx, new) if new else {}).values():
        if total > MOST_TASKS:
            raise TooMany(f"the run would have {total} tasks below it, more than the limit of {MOST_TASKS}")


async def _leave_behind(tx: Tx, family: _Family, earlier: Batch | None) -> list[UUID]:
    """Children of an earlier attempt that have not ended: they count for nothing. Returns those to stop."""
    task = family.task
    if earlier is None or (earlier.is_over and not earlier.takes_over):
        return []
    if earlier.takes_over and family.spawning.spawned.abandons:
        await batches.disown(tx, task)
        return []
    dropped = await batches.drop(tx, task)
    await events.append(tx, history.runs_dropped(dropped, batches.NOT_STARTED))
    left = await batches.active(tx, task, MOST_TASKS)
    await batches.disown(tx, task)
    return left


async def _taking_over(engine: Engine, tx: Tx, family: _Family, earlier: Batch | None) -> _Family:
    """A family of a task that runs again in place uses what its earlier children did."""
    if earlier is None or not earlier.takes_over or family.spawning.detached_id is not None:
        return family
    taken = await take_over(engine, tx, family.task, family.wanted, is_full=family.turn.is_queued)
    return replace(family, taken=taken)


async def _detach(engine: Engine, tx: Tx, family: _Family) -> Begun:
    """Starts a run as anybody may; it remembers who did."""
    (child,), (key,) = family.spawning.spawned.children, family.keys
    node_id = family.spawning.execution.node.id
    origin: JsonObject = {"parentRunId": str(family.task.run_id), "nodeId": node_id}
    request = StartRequest(
        key.workflow_id,
        child.input,
        version=key.version,
        origin=origin,
        run_id=family.spawning.detached_id,
    )
    started = await start_within(engine, request, tx)
    return Begun(started.dispatches, started.outdated)


async def _begin(engine: Engine, tx: Tx, family: _Family) -> Begun:
    spawned, parent = family.spawning.spawned, family.parent
    batch = Batch(len(spawned.children), spawned.at_once, spawned.tolerated)
    count = 0 if family.taken else batch.to_start()
    first = min(child.index for child in spawned.children)
    await batches.put(tx, family.task, first, batch.begun(count), spawned.abandons)
    new = _new_children(family, count)
    node = family.spawning.execution.node.id
    debug = Debug.read(parent.debug).within(node).as_stored()
    given = children.Given(within(family.spawning.execution.run.mocks, node) or None, debug)
    await children.insert(tx, family.task, parent, new, given)
    await events.append(tx, [history.run_queued(one.id) for one in new if one.is_queued])
    if family.taken:
        jobs, _, _ = await advance(engine, [family.task], tx)
        return Begun(jobs, family.turn.outdated)
    ready = {one.id: one.program for one in new if not one.is_queued}
    jobs = await add_tasks_to_all(tx, family.programs, ready, parent.priority, is_debugged=debug is not None)
    return Begun(jobs, family.turn.outdated)


def _new_children(family: _Family, ready: int) -> list[NewChild]:
    """The rows of all children; all but the first `ready` wait for their turn."""
    new = []
    wanted = [(child, key) for child, key in family.wanted if child.index not in family.taken]
    for number, (child, key) in enumerate(wanted):
        program = family.programs[key]
        plan = program.plan
        text = dump_optional(child.input)
        new.append(
            NewChild(
                id=new_id(),
                index=child.index,
                program=key,
                input=text,
                open=plan.main_size,
                total=len(plan.nodes),
                timeout=plan.timeout,
                is_queued=number >= ready or family.turn.is_queued,
                concurrency_key=family.turn.key,
                project=program.project,
            )
        )
    if sum(size_of(one.input or "") for one in new) > INPUT_LIMIT:
        raise SpawnRefused(f"the children's inputs have more than {INPUT_LIMIT // 1024**2} MiB together")
    return new
