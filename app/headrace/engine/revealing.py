"""Opening secrets for the claimed tasks whose nodes name them: in memory, for as long as the task runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.engine.sealing import CannotUnseal, Seal
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed
from headrace.graph.redaction import Redaction
from headrace.graph.template import SECRETS, Scope
from headrace.store import secrets
from headrace.store.db import Tx

if TYPE_CHECKING:
    from headrace.engine.prepare import Execution

MISSING_SECRET = "MissingSecret"


async def reveal(seal: Seal, tx: Tx, executions: Sequence[Execution]) -> None:
    """Gives templates the secrets that they name, as `secrets`; one statement for all.

    A task fails when one of them is not there, or was sealed with a key that is gone.
    """
    if not executions:
        return
    wanted = [(one.program.project, name) for one in executions for name in one.node.secrets]
    sealed = await secrets.sealed(tx, wanted)
    for one in executions:
        _reveal(seal, one, {name: sealed.get((one.program.project, name)) for name in one.node.secrets})


def _reveal(seal: Seal, execution: Execution, found: dict[str, bytes | None]) -> None:
    opened: dict[str, str] = {}
    for name, sealed in sorted(found.items()):
        try:
            if sealed is None:
                return _fail(execution, MISSING_SECRET, f"has no secret '{name}'")
            opened[name] = seal.open(sealed)
        except CannotUnseal as error:
            return _fail(execution, error.code, f"has a secret '{name}' that this worker has no key for")
    values: dict[str, JsonValue] = {**opened}
    execution.scope = Scope(execution.scope.input, {**execution.scope.names, SECRETS: values})
    execution.redaction = Redaction(opened.values())
    return None


def _fail(execution: Execution, kind: str, why: str) -> None:
    project = execution.program.project
    execution.failure = execution.failure or Failed(f"project {project} {why}", kind=kind, retryable=False)
