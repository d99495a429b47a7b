from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.texts import blanks


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        ("Hello {{name}}!", "Hello Ada!", []),
        ("Hello {{name}}!", "Hello !", ["name"]),
        ("{{a}} and {{ b.c }}", " and x", ["a"]),
        ("{{a}}\n{{b}}", "1\n ", ["b"]),
        ("No placeholder", "No placeholder", []),
        ("No placeholder", "Something else", ["No placeholder"]),
        ("{{a}}.", "another text", ["a"]),
        ("(1+1)={{a}}", "(1+1)=2", []),
    ],
)
def test_names_what_is_blank(template: str, text: str, expected: list[str]) -> None:
    assert blanks(template, text) == expected


@given(st.lists(st.tuples(st.sampled_from(["a: ", "\n", "(*)", ", "]), st.text("xyz01", min_size=1))))
def test_a_filled_text_has_no_blank(parts: list[tuple[str, str]]) -> None:
    template = "".join(f"{literal}{{{{v{index}}}}}" for index, (literal, _) in enumerate(parts))
    assert blanks(template, "".join(literal + value for literal, value in parts)) == []
