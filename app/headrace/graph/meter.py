"""What an evaluation may cost, and the marks on what it made itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from headrace.errors import BadExpression
from headrace.graph.coercion import MISSING, Value, text_pieces
from headrace.graph.json_types import JsonValue

MAX_STEPS: Final = 200_000
CHARS_A_STEP: Final = 256
ITEMS_A_STEP: Final = 16


class Built(list[JsonValue]):
    """A list that the evaluation made, as opposed to one of the data."""


def known(value: Value) -> JsonValue:
    """What a list or object can hold: null in place of what is missing."""
    return None if value is MISSING else value


@dataclass(slots=True)
class Meter:
    """The steps that an evaluation may still take."""

    left: int = field(default=MAX_STEPS)

    def spend(self, steps: int) -> None:
        """Raises BadExpression when no steps are left."""
        self.left -= steps
        if self.left < 0:
            raise BadExpression(f"The expression takes more than {MAX_STEPS} steps.")

    def read(self, values: Iterable[Value]) -> None:
        """Pays for long texts among an operator's arguments: it may have to read them to their end."""
        self.spend(sum(len(value) // CHARS_A_STEP for value in values if isinstance(value, str)))

    def text(self, value: Value, null: str = "", missing: str = "") -> str:
        """The value as text, paid for by its length."""
        if value is None:
            return null
        if value is MISSING:
            return missing
        return ",".join(self._paid(text_pieces(value)))

    def _paid(self, pieces: Iterable[str]) -> Iterable[str]:
        for piece in pieces:
            self.spend(1 + len(piece) // CHARS_A_STEP)
            yield piece
