"""Secrets at rest."""

from __future__ import annotations

import pytest

from headrace.engine.sealing import CannotUnseal, Seal
from headrace.errors import InvalidInput, InvalidSettings

OLD, NEW = "o" * 32, "n" * 64


def test_what_is_sealed_can_be_opened_and_not_be_read() -> None:
    sealed = Seal(NEW).seal("pässword")
    assert b"ssword" not in sealed
    assert Seal(NEW).open(sealed) == "pässword"
    assert Seal(NEW).seal("pässword") != sealed


def test_a_new_key_opens_what_the_old_one_sealed_as_long_as_both_are_named() -> None:
    sealed = Seal(OLD).seal("x")
    assert Seal(f"{NEW}, {OLD}").open(sealed) == "x"
    assert Seal(NEW).open(Seal(f"{NEW},{OLD}").seal("y")) == "y"
    with pytest.raises(CannotUnseal):
        Seal(NEW).open(sealed)
    with pytest.raises(CannotUnseal):
        Seal("").open(sealed)
    with pytest.raises(CannotUnseal):
        Seal(OLD).open(sealed[:-1])


def test_without_a_key_nothing_is_sealed_and_a_short_one_is_none() -> None:
    with pytest.raises(InvalidInput) as raised:
        Seal("").seal("x")
    assert "HEADRACE_SECRET_KEY" in raised.value.problems[0].hint
    with pytest.raises(InvalidSettings, match="at least 32"):
        Seal("short")
