"""No secret stays in what a node leaves behind."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.outcome import Child, Done, Failed, Held, Spawned, Verdict, Waiting
from headrace.graph.redaction import HIDDEN, SHORTEST, Redaction
from headrace.graph.states import RunStatus

SECRET = 'p/ss "wörd"+='
# The doors let no half of a surrogate pair in.
secrets = st.text(
    st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=SHORTEST, max_size=30
)


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        json.dumps({"key": SECRET}),
        json.dumps({"key": SECRET}, ensure_ascii=False),
        f"https://example.org/?token={quote(SECRET)}",
        f"https://example.org/?token={quote_plus(SECRET)}",
        "Basic " + base64.b64encode(SECRET.encode()).decode(),
        f"KeyError: {SECRET!r}",
    ],
)
def test_a_secret_is_hidden_in_each_form(text: str) -> None:
    hidden = Redaction([SECRET]).text(text)
    assert HIDDEN in hidden
    for form in (SECRET, "ss ", "w\\u00f6rd", "%22w", base64.b64encode(SECRET.encode()).decode()[:12]):
        assert form not in hidden


@given(secrets, st.text(), st.text())
def test_it_is_hidden_wherever_it_stands(secret: str, before: str, after: str) -> None:
    hidden = Redaction([secret]).text(before + secret + after)
    assert secret not in hidden
    assert HIDDEN in hidden


def test_one_secret_that_begins_another() -> None:
    assert Redaction(["secret", "secret-and-more"]).text("a secret-and-more b secret") == "a *** b ***"


def test_without_secrets_nothing_changes() -> None:
    assert Redaction([]).text("all of it") == "all of it"


def test_every_answer_is_cleaned() -> None:
    hide = Redaction(["sesame"])
    dirty, clean = {"open sesame": ["sesame", 1, None, True]}, {"open ***": ["***", 1, None, True]}
    verdict = Verdict(RunStatus.FAILED, "said sesame")
    assert hide.outcome(Done(dirty, frozenset({"out"}), verdict)) == Done(
        clean, frozenset({"out"}), Verdict(RunStatus.FAILED, "said ***")
    )
    failed = hide.outcome(Failed("no sesame", "HttpError", False, dirty, 3.0))
    assert failed == Failed("no ***", "HttpError", False, clean, 3.0)
    waiting = Waiting(2.0, "signal", "sesame", dirty)
    assert hide.outcome(waiting) == Waiting(2.0, "signal", "sesame", clean)
    spawned = hide.outcome(Spawned([Child(0, dirty, "w")], memory="sesame"))
    assert spawned == Spawned([Child(0, clean, "w")], memory="***")
    assert hide.outcome(Held("key x")) == Held("key x")
