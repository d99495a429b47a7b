"""What an answer depends on besides its request: dice and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Annotated, TypeAlias, TypeVar

from fastapi import Depends

# Not JsonObject: pydantic, which reads the routes' annotations, cannot resolve a recursive alias.
Answer: TypeAlias = dict[str, object]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chance:
    """One throw of the dice at one moment. Seeded dice and a fixed `now` give the same answer again."""

    dice: Random
    now: datetime

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self.dice.randint(low, high)

    def degrees(self, low: float, high: float) -> float:
        """A temperature with one decimal."""
        return round(self.dice.uniform(low, high), 1)

    def one_of(self, options: Sequence[T]) -> T:
        return self.dice.choice(options)

    def happens(self, probability: float) -> bool:
        """probability: 0 to 1."""
        return self.dice.random() < probability

    def phone(self) -> str:
        return f"+1-555-{self.number(100, 999)}-{self.number(1000, 9999)}"

    def ident(self, prefix: str) -> str:
        """An id as the products' own: a prefix and the time in milliseconds."""
        return f"{prefix}{int(self.now.timestamp() * 1000)}"

    def time(self, after: timedelta = timedelta()) -> str:
        """`now` plus `after`, as `2030-01-31T10:00:00.000Z`."""
        return (self.now + after).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def chance() -> Chance:
    """Fresh dice and the present time; tests put their own in its place."""
    return Chance(Random(), datetime.now(UTC))


Drawn = Annotated[Chance, Depends(chance)]
