"""The queues of projects, and their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidInput
from headrace.graph.project import DEFAULT_PROJECT, is_project, require_project
from headrace.graph.queue_names import TASK_QUEUES, emptied_before, project_of, task_queue, task_queues
from headrace.graph.settings import Priority

projects = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)


def test_the_default_project_has_the_plain_names() -> None:
    assert task_queues(DEFAULT_PROJECT) == TASK_QUEUES
    assert task_queue(Priority.NORMAL, DEFAULT_PROJECT) == "workflow-tasks"


def test_another_project_stands_behind_the_priority() -> None:
    assert task_queues("shop") == (
        "workflow-tasks-critical--shop",
        "workflow-tasks-high--shop",
        "workflow-tasks--shop",
        "workflow-tasks-low--shop",
    )
    assert [task_queue(priority, "shop") for priority in sorted(Priority, reverse=True)] == [
        *task_queues("shop")
    ]


@given(projects, st.sampled_from(Priority))
def test_a_queues_name_says_whose_it_is(project: str, priority: Priority) -> None:
    assert project_of(task_queue(priority, project)) == project


@given(st.lists(projects, unique=True))
def test_no_two_projects_share_a_queue(names: list[str]) -> None:
    """Not even `shop` and `shop-low`, or one that looks like a divider."""
    queues = [queue for name in {*names, "shop", "shop-low", "0--shop"} for queue in task_queues(name)]
    assert len(queues) == len(set(queues))


@pytest.mark.parametrize(
    "queue",
    [
        "workflow-dependencies",
        "default",
        "",
        "workflow-tasks-shop",
        "workflow-tasks--",
        "workflow-tasks--A b",
    ],
)
def test_other_queues_are_nobodys(queue: str) -> None:
    assert project_of(queue) is None
    assert emptied_before(queue) == ()


def test_the_default_project_has_no_second_queue() -> None:
    assert project_of("workflow-tasks--default") is None


def test_what_goes_first_is_of_the_same_project() -> None:
    assert emptied_before("workflow-tasks--shop") == (
        "workflow-tasks-critical--shop",
        "workflow-tasks-high--shop",
    )
    assert emptied_before("workflow-tasks-critical") == ()


@pytest.mark.parametrize("name", ["a", "0", "shop-2", "a--b", "x" * 63, "default"])
def test_what_a_project_may_be_called(name: str) -> None:
    assert require_project(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "Shop", "a b", "a_b", "a.b", "x" * 64, "a\n", "*", "ä", "a/b", "a,b"]
)
def test_what_a_project_may_not_be_called(name: str) -> None:
    assert not is_project(name)
    with pytest.raises(InvalidInput) as refused:
        require_project(name)
    (problem,) = refused.value.problems
    assert problem.path == "project"
