"""When a node runs, given how its in-edges resolved: three-valued join rules.

A verdict is given only when it is decided: no later edge can change it. "Does not run" is never decided
before all edges are in, because a failure may still arrive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from headrace.errors import BadExpression


class EdgeOutcome(StrEnum):
    """How an edge resolved: exactly once for each activation of its source."""

    TAKEN = "T"
    NOT_TAKEN = "N"
    FAILED = "F"
    CANCELLED = "C"


class Rule(StrEnum):
    """The names of the join rules, as written in definitions."""

    ALL = "all"
    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"
    NONE_FAILED = "none_failed"
    ANY_SUCCESS = "any_success"
    ANY_FAILED = "any_failed"
    ALL_FAILED = "all_failed"
    QUORUM = "quorum"


class Losers(StrEnum):
    """What an early join does with the nodes that it no longer waits for."""

    LET_RUN = "let_run"
    CANCEL = "cancel"


class Verdict(StrEnum):
    """What a join decided."""

    RUN = "run"
    SKIP = "skip"
    UPSTREAM_FAILED = "upstream_failed"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Join:
    """A node's join rule. quorum: how many TAKEN edges are enough, for `quorum` only."""

    rule: Rule = Rule.ALL
    quorum: int = 0
    losers: Losers = Losers.LET_RUN

    @property
    def absorbs_failure(self) -> bool:
        """Whether meeting this join handles the failures that enter it."""
        return self.rule in (Rule.ANY_SUCCESS, Rule.QUORUM)

    def __str__(self) -> str:
        return f"quorum:{self.quorum}" if self.rule is Rule.QUORUM else self.rule.value


@dataclass(frozen=True, slots=True)
class Tally:
    """How many in-edges of a task are unresolved, TAKEN, FAILED, CANCELLED; the others are NOT_TAKEN."""

    total: int
    unresolved: int
    taken: int = 0
    failed: int = 0
    cancelled: int = 0

    @classmethod
    def fresh(cls, total: int) -> Tally:
        return cls(total=total, unresolved=total)

    def add(self, outcome: EdgeOutcome) -> Tally:
        """The tally after one more edge resolved."""
        return Tally(
            total=self.total,
            unresolved=self.unresolved - 1,
            taken=self.taken + (outcome is EdgeOutcome.TAKEN),
            failed=self.failed + (outcome is EdgeOutcome.FAILED),
            cancelled=self.cancelled + (outcome is EdgeOutcome.CANCELLED),
        )


def parse_join(text: str) -> Join:
    """Reads `all` or `quorum:2`; raises BadExpression for an unknown rule."""
    if match := re.fullmatch(r"quorum:(\d+)", text):
        return Join(Rule.QUORUM, quorum=int(match[1]))
    if text not in set(Rule) - {Rule.QUORUM}:
        names = ", ".join(rule.value for rule in Rule if rule is not Rule.QUORUM)
        raise BadExpression(f"unknown join '{text}'; known are {names}, quorum:<k>")
    return Join(Rule(text))


def decide_join(join: Join, tally: Tally) -> Verdict | None:
    """The verdict on a node with these in-edges, or None while it is open."""
    if _is_met(join, tally):
        return Verdict.RUN
    return None if tally.unresolved else _not_met(join.rule, tally)


def _is_met(join: Join, tally: Tally) -> bool:
    all_in = not tally.unresolved
    match join.rule:
        case Rule.ALL:
            return all_in and not tally.failed and tally.taken > 0
        case Rule.ALL_SUCCESS:
            return tally.taken == tally.total
        case Rule.ALL_DONE:
            return all_in
        case Rule.NONE_FAILED:
            return all_in and not tally.failed
        case Rule.ANY_SUCCESS:
            return tally.taken > 0
        case Rule.ANY_FAILED:
            return tally.failed > 0
        case Rule.ALL_FAILED:
            return tally.failed == tally.total
        case Rule.QUORUM:
            return tally.taken >= join.quorum
        case _:
            assert_never(join.rule)


def _not_met(rule: Rule, tally: Tally) -> Verdict:
    """All edges are in and the rule does not hold."""
    if tally.failed:
        return Verdict.SKIP if rule in (Rule.ANY_FAILED, Rule.ALL_FAILED) else Verdict.UPSTREAM_FAILED
    return Verdict.CANCEL if tally.cancelled else Verdict.SKIP
