"""What an activity's code knows of its task, and says to it."""

from __future__ import annotations

import threading
from contextvars import copy_context

import pytest

from headrace import Cancelled, context
from headrace.activities.context import MOST_LINES, MOST_TEXT
from headrace.activities.errors import NotInActivity
from headrace.testing import activity_context


def test_it_is_told_where_it_stands() -> None:
    with activity_context("resize", input={"a": 1}, attempt=3, idempotency_key="run-7") as told:
        here = context()
        assert (here.activity, here.input, here.attempt, here.idempotency_key) == (
            "resize",
            {"a": 1},
            3,
            "run-7",
        )
        here.heartbeat(0.5, {"row": 7})
        here.heartbeat()
        assert told.heartbeats == [(0.5, {"row": 7}), (None, None)]
        before = here.cancelled
        here.raise_if_cancelled()
        told.cancel()
        assert (before, here.cancelled) == (False, True)
        with pytest.raises(Cancelled):
            here.raise_if_cancelled()
    with pytest.raises(NotInActivity):
        context()


@pytest.mark.parametrize(
    ("progress", "details"),
    [(1.01, None), (-0.1, None), (float("nan"), None), (0, "x" * 9000), (0, float("inf"))],
)
def test_heartbeats_that_nobody_could_show_are_refused(progress: float, details: str | float | None) -> None:
    with activity_context() as told, pytest.raises(ValueError, match=r"progress|details|JSON"):
        context().heartbeat(progress, details)
    assert told.heartbeats == []


def test_the_log_is_written_as_with_logging_and_has_an_end() -> None:
    with activity_context() as told:
        log = context().logger
        log.debug("plain %s is no pattern")
        log.info("%s and %d", "one", 2)
        log.warning("x" * (MOST_TEXT + 5))
        log.error({"no": "text"})
        for number in range(MOST_LINES):
            log.info("%d", number)
    assert told.log[:2] == [("debug", "plain %s is no pattern"), ("info", "one and 2")]
    assert told.log[2] == ("warning", "x" * MOST_TEXT)
    assert told.log[3] == ("error", "{'no': 'text'}")
    assert len(told.log) == MOST_LINES
    assert told.log[-1] == ("warning", f"more than {MOST_LINES} lines: the rest is dropped")


def test_threads_of_the_codes_own_need_a_copy_of_its_context() -> None:
    seen: list[str] = []

    def look() -> None:
        try:
            seen.append(context().activity)
        except NotInActivity:
            seen.append("nothing")

    with activity_context("here"):
        for target in (look, copy_context().run):
            arguments = () if target is look else (look,)
            thread = threading.Thread(target=target, args=arguments)
            thread.start()
            thread.join()
    assert seen == ["nothing", "here"]
