"""Names of things inside a run."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class TaskId(NamedTuple):
    """One node in one run. As text it is `<run id>-<position>`, safe in job ids and headers.

    position: the node's place in the plan's topological order, so a run's tasks sort by it.
    """

    run_id: UUID
    position: int

    def __str__(self) -> str:
        return f"{self.run_id}-{self.position}"

    @classmethod
    def parse(cls, text: str) -> TaskId:
        """Reads `str(task_id)` back; raises ValueError for anything else."""
        run_id, _, position = text.rpartition("-")
        return cls(UUID(run_id), int(position))
