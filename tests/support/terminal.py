"""What a command leaves, for tests that call commands in their own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Answer:
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Cli: TypeAlias = Callable[..., Answer]
