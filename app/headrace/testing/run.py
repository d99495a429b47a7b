"""A workflow from its start to its end, in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from headrace.errors import InvalidInput, WrongState
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.base import Http
from headrace.testing.bench import Bench, bench
from headrace.testing.problems import noting_problems, refused_signals
from headrace.testing.results import RunResult


def run_workflow(
    definition: JsonObject,
    input: JsonValue = None,
    mocks: JsonObject | None = None,
    *,
    http: Http | None = None,
    signals: Mapping[str, JsonValue] | None = None,
    timeout: float = 30.0,
) -> RunResult:
    """Runs a workflow until nothing is left to do; waits and back-offs are skipped.

    A run that nobody gives what it waits for is still `running` then; `RunResult.waiting` says for what.
    mocks: answers of nodes that are not run, see `Bench.start`. http: what answers the calls of nodes, as
    `FakeHttp`. signals: payloads by name, sent at the start; an approval's is `approval:<node id>`.
    timeout: seconds of real time.

    Raises InvalidDefinition, InvalidInput (also for a signal that its node refuses), DidNotEnd, and
    WrongState in async code, which uses `bench`.
    """
    if _is_in_loop():
        raise WrongState("run_workflow is for tests that are not async; use headrace.testing.bench here")

    async def run() -> RunResult:
        async with bench(http=http, timeout=timeout) as workbench:
            run_id = await workbench.start(definition, input, mocks)
            for name, payload in (signals or {}).items():
                await workbench.signal(run_id, name, payload)
            await workbench.drain(skip=True)
            await _require_accepted(workbench, run_id)
            return await workbench.result(run_id)

    return asyncio.run(run())


async def _require_accepted(workbench: Bench, run_id: UUID) -> None:
    if problems := await refused_signals(workbench.engine, run_id):
        with noting_problems():
            raise InvalidInput("A signal is not what its node waits for", problems)


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
