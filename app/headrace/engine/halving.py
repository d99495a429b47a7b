"""One bad row must not stop the rest: a failing batch is halved until the culprit is alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from headrace.errors import QueueUnavailable, StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")


async def spared(
    batch: Sequence[T],
    work: Callable[[Sequence[T]], Awaitable[list[R]]],
    give_up: Callable[[T, Exception], Awaitable[None]],
) -> list[R]:
    """Works on a batch; when that fails, on its halves. What fails alone is given up, and the rest goes on.

    A server that does not answer is nobody's fault: StoreUnavailable passes through.
    """
    if not batch:
        return []
    try:
        return await work(batch)
    except (StoreUnavailable, QueueUnavailable):
        raise
    except Exception as error:  # whatever is wrong with one must not hold up the others
        if len(batch) == 1:
            await give_up(batch[0], error)
            return []
    middle = len(batch) // 2
    return await spared(batch[:middle], work, give_up) + await spared(batch[middle:], work, give_up)


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
