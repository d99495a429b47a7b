"""Controls that strangers' texts bring are shown, not obeyed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("h\u00fcbsch \U0001f30a", "h\u00fcbsch \U0001f30a"),
        ("\x1b]0;owned\x07", "\\u001b]0;owned\\u0007"),
        ("good\rbad", "good\\u000dbad"),
        ("\x7f\x9b31m", "\\u007f\\u009b31m"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
    ],
)
def test_controls_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_none_is_left(text: str) -> None:
    left = {one for one in visible(text) if one not in "\t\n"}
    assert not {one for one in left if unicodedata.category(one) == "Cc"}
    ways = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {one for one in left if unicodedata.bidirectional(one) in ways}


@given(st.text())
def test_json_keeps_its_meaning(text: str) -> None:
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text
