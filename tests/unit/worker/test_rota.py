"""Whose turn it is when a worker serves several projects."""

from __future__ import annotations

from headrace_worker.rota import Rota

A, B, C = ("a-high", "a"), ("b-high", "b"), ("c-high", "c")


def test_alone_there_are_no_turns() -> None:
    rota = Rota(A)
    rota.served(["a"])
    assert (rota.width, rota.by_rank(), rota.queues) == (1, ["a-high", "a"], A)


def test_ranks_come_one_after_the_other_for_all() -> None:
    assert Rota(A, B, C).by_rank() == ["a-high", "b-high", "c-high", "a", "b", "c"]


def test_who_got_something_stands_behind_the_others() -> None:
    rota = Rota(A, B, C)
    rota.served(["a"])
    assert rota.by_rank()[:3] == ["b-high", "c-high", "a-high"]
    rota.served(["c", "b-high", "c"])
    assert rota.by_rank()[3:] == ["a", "b", "c"]
    rota.served([])
    assert rota.by_rank()[3:] == ["a", "b", "c"]


def test_those_that_have_nothing_do_not_cost_the_others_their_turn() -> None:
    """a and c hold jobs all the time, b none: a and c alternate."""
    rota = Rota(A, B, C)
    got = []
    for _ in range(6):
        first = next(queue for queue in rota.by_rank() if queue in ("a", "c"))
        rota.served([first])
        got.append(first)
    assert got == ["a", "c", "a", "c", "a", "c"]


def test_a_new_one_is_next_and_joins_once() -> None:
    rota = Rota(A, B)
    rota.add(C)
    rota.add(list(C))
    assert rota.by_rank()[3:] == ["c", "a", "b"]
    assert (rota.width, set(rota.queues)) == (3, {*A, *B, *C})
