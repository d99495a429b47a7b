"""A bench: one engine with a database of its own, whose work and whose time a test moves on by hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

from headrace.engine.control import cancel_run
from headrace.engine.program import Engine
from headrace.engine.reading import run_detail
from headrace.engine.save import create_workflow
from headrace.engine.signals import Answer, SignalRequest, answer_task, send_signal
from headrace.engine.start import StartRequest, start_run
from headrace.errors import NotFound
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.approval import APPROVAL
from headrace.nodes.base import Config, Http, NodeRegistry, NodeType
from headrace.nodes.builtin import builtin
from headrace.nodes.question import QUESTION
from headrace.store.throwaway import borrowed
from headrace.testing.broker import RecordingBroker
from headrace.testing.clock import Clock, within
from headrace.testing.fake_http import FakeHttp
from headrace.testing.problems import noting_problems
from headrace.testing.process import deliver, tick
from headrace.testing.results import RunResult, TaskResult
from headrace.testing.server import server_url


class Bench:
    """Nothing moves by itself: `drain` does the work that there is, `clock.skip` lets time pass.

    Runs are named by their ids. broker: takes the jobs; its `pushed` tells all that were made.
    """

    def __init__(self, engine: Engine, http: Http | None = None, timeout: float = 30.0) -> None:
        """http: answers the calls of nodes; without it, they fail. timeout: see `bench`.

        The engine's database must be nobody else's: the clock moves all times in it.
        """
        self.engine = engine
        self.http = http or FakeHttp()
        self.broker = RecordingBroker()
        self.clock = Clock(engine.db, self._settle_down, timeout)
        self._timeout = timeout

    async def save(self, definition: JsonValue, workflow_id: UUID | None = None) -> UUID:
        """Stores a workflow, for sub-workflows by its name or the id returned. Raises InvalidDefinition."""
        with noting_problems():
            return await create_workflow(self.engine, definition, workflow_id)

    async def start(
        self, workflow: JsonObject | UUID, input: JsonValue = None, mocks: JsonObject | None = None
    ) -> UUID:
        """Starts a run of a definition, or of what `save` returned; nothing of it is done yet.

        mocks: answers of nodes that are not run, by node id: the output; `{output, branches}`; or
        `{error: {type, message}}`. Raises InvalidDefinition, InvalidInput, NotFound.
        """
        workflow_id = workflow if isinstance(workflow, UUID) else await self.save(workflow)
        with noting_problems():
            started = await start_run(self.engine, StartRequest(workflow_id, input, mocks=mocks))
        self.broker.push(started.dispatches)
        return started.run_id

    async def drain(self, *, skip: bool = False, order: random.Random | None = None) -> None:
        """Does all that can be done now. skip: and lets time pass, until only people and signals are missing.

        order: takes jobs in a random order instead of the oldest first. Raises DidNotEnd.
        """
        async with within(self._timeout):
            await self._settle_down(order)
        if skip:
            await self.clock.skip_all()

    async def signal(
        self,
        run: UUID,
        name: str,
        payload: JsonValue = None,
        *,
        node: str | None = None,
        id: str | None = None,
    ) -> None:
        """Sends a run a signal; one that nobody waits for yet is kept. node: the only one that may take it.

        id: signals with the same one count once. Raises InvalidInput when the node that waits refuses it.
        """
        with noting_problems():
            sent = await send_signal(self.engine, SignalRequest(run, name, payload, id, node))
        self.broker.push(sent.dispatches)

    async def approve(
        self, run: UUID, node: str, decision: str = "approve", data: JsonValue = None, by: str | None = None
    ) -> None:
        """Decides an approval that waits now. decision: one of its options, `reject` as well.

        data: what its form asks for. Raises NotFound, WrongState when it does not wait, and InvalidInput when
        it refuses.
        """
        await self._tell(run, node, APPROVAL, {"decision": decision, "data": data, "by": by})

    async def answer(self, run: UUID, node: str, answer: JsonValue, by: str | None = None) -> None:
        """Answers a question that waits now; raises as `approve` does."""
        await self._tell(run, node, QUESTION, {"answer": answer, "by": by})

    async def cancel(self, run: UUID) -> None:
        """Cancels a run; its `finally` nodes are done by the next drain. Raises NotFound, WrongState."""
        self.broker.push(await cancel_run(self.engine, run))

    async def result(self, run: UUID) -> RunResult:
        """Where a run stands now, with all of its tasks. Raises NotFound."""
        return RunResult.of(await run_detail(self.engine, run))

    async def _tell(self, run: UUID, node: str, node_type: str, payload: JsonObject) -> None:
        task = _task_of(await self.result(run), node)
        with noting_problems():
            sent = await answer_task(self.engine, Answer(task.id, node_type, payload))
        self.broker.push(sent.dispatches)

    async def _settle_down(self, order: random.Random | None = None) -> None:
        while True:
            while count := len(self.broker.pending):
                job = self.broker.take(order.randrange(count) if order else 0)
                self.broker.push(await deliver(self.engine, job, self.http))
            self.broker.push(await tick(self.engine))
            if not self.broker.pending:
                return


@asynccontextmanager
async def bench(
    *, http: Http | None = None, node_types: Iterable[NodeType[Config]] = (), timeout: float = 30.0
) -> AsyncIterator[Bench]:
    """A bench with an empty database, on DATABASE_URL's server or else on one of this process's own.

    http: what answers the calls of nodes; without it, they fail. node_types: besides the shipped ones.
    timeout: seconds of real time that one `drain` or `skip` may take.
    """
    async with borrowed(server_url()) as db:
        engine = Engine.over(db, NodeRegistry([*builtin(), *node_types]))
        yield Bench(engine, http, timeout)


def _task_of(result: RunResult, node: str) -> TaskResult:
    if node not in result.tasks:
        raise NotFound(f"The run has no node '{node}'; it has {', '.join(result.tasks)}")
    return result.tasks[node]
