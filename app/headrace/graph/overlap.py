"""When to act on a schedule's slot, and what becomes of it while an earlier run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Overlap(StrEnum):
    """What a schedule does with a slot while a run of an earlier one has not ended.

    skip: nothing comes of it. buffer_one: it waits, unless one waits already. buffer_all: it waits.
    cancel_other: the run is cancelled and this slot takes its place. allow: both run.
    """

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    ALLOW = "allow"


class Fate(StrEnum):
    """What becomes of a slot now. cancel: it goes on waiting, and the run that it waits for is cancelled."""

    START = "start"
    WAIT = "wait"
    SKIP = "skip"
    CANCEL = "cancel"


def admit(waiting: Sequence[Overlap], is_busy: bool) -> list[Fate]:
    """The fates of a schedule's slots that wait, oldest first.

    is_busy: a run of this schedule has not ended. Unless slots are allowed to overlap, at most one starts,
    and none while it is busy. A slot that cancels others takes the place of all that wait before it.
    """
    newest = max((place for place, one in enumerate(waiting) if one is Overlap.CANCEL_OTHER), default=-1)
    fates: list[Fate] = []
    one_waits = False
    for place, overlap in enumerate(waiting):
        is_replaced = place < newest and overlap is not Overlap.ALLOW
        fate = Fate.SKIP if is_replaced else _fate(overlap, is_busy, one_waits)
        is_busy = is_busy or fate is Fate.START
        one_waits = one_waits or (overlap is Overlap.BUFFER_ONE and fate is Fate.WAIT)
        fates.append(fate)
    return fates


def _fate(overlap: Overlap, is_busy: bool, one_waits: bool) -> Fate:
    if not is_busy:
        return Fate.START
    match overlap:
        case Overlap.ALLOW:
            return Fate.START
        case Overlap.SKIP:
            return Fate.SKIP
        case Overlap.BUFFER_ONE:
            return Fate.SKIP if one_waits else Fate.WAIT
        case Overlap.BUFFER_ALL:
            return Fate.WAIT
        case Overlap.CANCEL_OTHER:
            return Fate.CANCEL


def due_at(schedule_id: UUID, slot: datetime, jitter: float) -> datetime:
    """When to act on a slot: up to `jitter` seconds later, for each slot the same whoever asks."""
    digest = hashlib.sha256(f"{schedule_id} {slot.timestamp()}".encode()).digest()
    return slot + timedelta(seconds=jitter * int.from_bytes(digest[:6]) / 2**48)
