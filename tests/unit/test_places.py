"""Which of a supervisor's places are too many or too few."""

from __future__ import annotations

from collections import Counter
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from headrace.local.child import Child
from headrace.local.places import Place, RunningWorker, Wish, missing, superfluous

projects = st.sampled_from(["default", "shop", "bank"])
generations = st.integers(0, 2)


def place(project: str, generation: int, started: float | None) -> Place:
    worker = None if started is None else RunningWorker("w", cast(Child, None), started)
    return Place(project, generation, worker)


places = st.lists(st.builds(place, projects, generations, st.none() | st.floats(0, 100)), max_size=12)
wishes = st.dictionaries(projects, st.builds(Wish, st.integers(-1, 5), generations))


@given(places, wishes)
def test_what_is_kept_and_what_is_new_is_what_is_wanted(have: list[Place], wanted: dict[str, Wish]) -> None:
    gone = superfluous(have, wanted)
    kept = [one for one in have if one not in gone]
    after = Counter((one.project, one.generation) for one in [*kept, *missing(kept, wanted)])
    assert after == Counter(
        {(name, one.generation): one.count for name, one in wanted.items() if one.count > 0}
    )


@given(places, wishes)
def test_nothing_is_given_up_that_is_still_wanted(have: list[Place], wanted: dict[str, Wish]) -> None:
    gone = superfluous(have, wanted)
    replaced = Counter((one.project, one.generation) for one in missing(have, wanted))
    assert not any(replaced[one.project, one.generation] for one in gone)


@given(places, wishes)
def test_the_newest_of_a_project_go_first(have: list[Place], wanted: dict[str, Wish]) -> None:
    gone = superfluous(have, wanted)
    for one in gone:
        if one.generation == wanted.get(one.project, Wish(0, -1)).generation:
            same = [
                other for other in have if (other.project, other.generation) == (one.project, one.generation)
            ]
            assert all(other.age_order() <= one.age_order() for other in same if other not in gone)


@given(places, wishes)
def test_a_second_look_changes_nothing(have: list[Place], wanted: dict[str, Wish]) -> None:
    gone = superfluous(have, wanted)
    after = [one for one in have if one not in gone]
    after += missing(after, wanted)
    assert superfluous(after, wanted) == []
    assert missing(after, wanted) == []
