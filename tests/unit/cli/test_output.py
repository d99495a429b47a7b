"""What strangers wrote reaches nobody's terminal as a control of it."""

from __future__ import annotations

import json

import pytest

from headrace.cli.output import complain, print_json, print_table, say

EVIL = "\x1b]0;owned\x07\x9b2J\u202e"
SHOWN = "\\u001b]0;owned\\u0007\\u009b2J\\u202e"


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a {EVIL}\nb")
    complain(EVIL)
    assert tuple(capsys.readouterr()) == (f"a {SHOWN}\nb\n", f"{SHOWN}\n")


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name"], [[EVIL]], "none")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["name", SHOWN]


def test_json_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": EVIL, "more": ["\t\n", "\u00fc"]})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": EVIL, "more": ["\t\n", "\u00fc"]}
    assert SHOWN in out
    assert "\u00fc" in out
