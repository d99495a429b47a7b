"""One bad row must not stop the rest: a failing batch is halved until the culprit is alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from headrace.errors import QueueUnavailable, StoreUnavailable

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


async def in_halves(
    batch: Sequence[T],
    write: Callable[[Sequence[T]], Awaitable[dict[K, V]]],
    replace_culprit: Callable[[T, Exception], T],
) -> dict[K, V]:
    """Writes a batch; when that fails, its halves. What fails alone is replaced and written once more.

    A server that does not answer is nobody's fault: StoreUnavailable passes through.
    """
    if not batch:
        return {}
    try:
        return await write(batch)
    except (StoreUnavailable, QueueUnavailable):
        raise
    except Exception as error:  # whatever PostgreSQL or a codec says of one row
        if len(batch) == 1:
            return await write([replace_culprit(batch[0], error)])
    middle = len(batch) // 2
    return await in_halves(batch[:middle], write, replace_culprit) | await in_halves(
        batch[middle:], write, replace_culprit
    )
