"""Secrets of projects: kept sealed, opened for the nodes that name them, and never shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from headrace.engine.program import Engine
from headrace.engine.sealing import Seal
from headrace.errors import InvalidInput, NotFound, Problem
from headrace.graph.project import require_project
from headrace.graph.redaction import SHORTEST
from headrace.store import secrets
from headrace.store.secrets import SecretName

LONGEST = 64 * 1024
"""Characters of the longest secret."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class SecretAt:
    """A secret's place. Raises InvalidInput for bad names."""

    project: str
    name: str

    def __post_init__(self) -> None:
        require_project(self.project)
        if not _NAME.fullmatch(self.name):
            hint = "letters, digits and `_`, at most 64, first a letter or `_`"
            raise InvalidInput(
                "The secret's name is not valid",
                [Problem("name", f"'{self.name}' is no name of a secret", hint)],
            )


async def put_secret(engine: Engine, seal: Seal, at: SecretAt, value: str) -> SecretName:
    """Keeps a secret, in the place of an earlier one. Raises InvalidInput, also when there is no key."""
    if not SHORTEST <= len(value) <= LONGEST:
        hint = f"from {SHORTEST} to {LONGEST} characters: a shorter text could not be kept out of logs"
        raise InvalidInput("The secret cannot be kept", [Problem("value", "has not a fitting length", hint)])
    sealed = seal.seal(value)
    return await engine.db.transact(partial(secrets.put, project=at.project, name=at.name, sealed=sealed))


async def secret_names(engine: Engine, project: str) -> Sequence[SecretName]:
    """What there is, by name. Raises InvalidInput."""
    require_project(project)
    async with engine.db.transaction() as tx:
        return await secrets.names(tx, project)


async def delete_secret(engine: Engine, at: SecretAt) -> None:
    """Raises NotFound."""
    if not await engine.db.transact(partial(secrets.delete, project=at.project, name=at.name)):
        raise NotFound(f"Project {at.project} has no secret '{at.name}'")
