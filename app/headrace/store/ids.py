"""New ids: UUIDs of version 7 (RFC 9562), which sort by time and so keep indexes small."""

from __future__ import annotations

import secrets
import threading
import time
from uuid import UUID


class _Sequence:
    """What orders the ids of one process within a millisecond: the 12 bits after the time count up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._count = 0

    def next(self) -> tuple[int, int]:
        """The next time and count: always after the one before, even if the clock was set back."""
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._milliseconds:
                self._milliseconds, self._count = now, secrets.randbits(8)
            elif self._count < 0xFFF:
                self._count += 1
            else:
                self._milliseconds, self._count = self._milliseconds + 1, 0
            return self._milliseconds, self._count


_sequence = _Sequence()


def new_id() -> UUID:
    """A UUIDv7: 48 bits of milliseconds since 1970, a count within them, then random bits.

    Each is greater than those that this process made before (RFC 9562, section 6.2, method 1).
    """
    milliseconds, count = _sequence.next()
    return UUID(int=milliseconds << 80 | 7 << 76 | count << 64 | 2 << 62 | secrets.randbits(62))


def new_token() -> int:
    """A fence for one claim: 63 random bits."""
    return secrets.randbits(63)
