"""How long an activity that workers brought is reckoned with after the last of them was heard of."""

from __future__ import annotations

from datetime import datetime, timedelta

COUNTS_FOR = timedelta(hours=24)
"""So long a restart, a night or a failed release may take before the activity counts as gone."""

KEPT_FOR = timedelta(days=30)
"""So long it is still shown, as not seen since; then it is forgotten."""


def still_counts(seen_at: datetime, now: datetime) -> bool:
    """Whether a declaration keeps its name from others. seen_at: when a worker that has it was last heard of.

    A worker that lives is heard of every few seconds, so its declarations always count.
    """
    return now - seen_at <= COUNTS_FOR
