"""Variables, as nodes change them: at once, atomically, and once for each task whatever its attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.graph.redaction import Redaction
from headrace.graph.variables import Operation, changed
from headrace.nodes.base import Config, NodeType
from headrace.store import variables
from headrace.store.db import Database, Tx
from headrace.store.variables import VariableName


@dataclass(frozen=True, slots=True)
class TaskVariables:
    """The variables that a task sees. run_id: of the outermost run, whose variables all its bodies share.

    project: of its workflow. types: of the nodes of the task's own run. hidden: of the secrets that it knows,
    which no variable keeps.
    """

    db: Database
    task: TaskId
    run_id: str
    workflow_id: str
    project: str
    types: Sequence[NodeType[Config]]
    hidden: Redaction | None = None

    async def read(self, scope: str, name: str, default: JsonValue = None) -> JsonValue:
        """A variable's value, or the default when it was never set."""
        async with self.db.connection() as tx:
            found = await variables.find(tx, self._named(scope, name))
        return default if found is None else found.value

    async def change(self, scope: str, name: str, operation: Operation, value: JsonValue) -> JsonValue:
        """Changes a variable and returns its new value; a second attempt of the task only returns it.

        Raises InvalidInput when the operation does not fit what the variable holds.
        """
        kept = self.hidden.value(value) if self.hidden else value

        async def work(tx: Tx) -> JsonValue:
            named = self._named(scope, name)
            await variables.lock(tx, named)
            if (earlier := await variables.written(tx, self.task)) is not None:
                return earlier.value
            old = await variables.find(tx, named)
            new = changed(None if old is None else old.value, operation, kept)
            await variables.put(tx, named, new)
            await variables.remember(tx, self.task, new)
            if scope == "run" and self._is_watched():
                await variables.wake_watchers(tx, {UUID(self.run_id), self.task.run_id})
            return new

        return await self.db.transact(work)

    def _is_watched(self) -> bool:
        """Whether a task of this run, or of the run whose body it is, may wait for a change."""
        is_body = self.run_id != str(self.task.run_id)
        return is_body or any(kind.watches_variables for kind in self.types)

    def _named(self, scope: str, name: str) -> VariableName:
        owners = {"run": self.run_id, "workflow": self.workflow_id, "project": self.project}
        return VariableName(scope, owners[scope], name)
