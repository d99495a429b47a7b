"""What waits for people: approvals and questions, over all runs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from headrace.api.deps import House, Limit, Offset, PlainJson, Shared
from headrace.api.people_schemas import (
    AnswerBody,
    Approval,
    ApprovalLinks,
    ApprovalList,
    DecisionBody,
    OptionLink,
    Question,
    QuestionList,
    Told,
)
from headrace.api.schemas import NOT_FOUND, WRONG_STATE
from headrace.engine.asking import AskedFilter, Link, asked_by, asked_now, link_keys, token_of
from headrace.engine.signals import Answer, answer_task
from headrace.errors import NotFound
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.nodes.approval import APPROVAL
from headrace.nodes.question import QUESTION

router = APIRouter(tags=["people"], responses=NOT_FOUND)

_LARGEST_POSITION = 2**31 - 1

RunId = Annotated[UUID | None, Query(alias="runId", description="Only of this run and what runs in it.")]


@router.get("/approvals")
async def list_approvals(
    house: Shared, run_id: RunId = None, limit: Limit = 100, offset: Offset = 0
) -> ApprovalList:
    """Approvals that wait for a decision, oldest run first."""
    found = await asked_now(house.engine, AskedFilter(APPROVAL, run_id, limit, offset))
    return ApprovalList(items=[Approval.of(one) for one in found])


@router.post("/approvals/{task_id}", responses=WRONG_STATE, dependencies=[PlainJson])
async def decide(task_id: str, body: DecisionBody, house: Shared) -> Told:
    """Decides. The first decision counts; 409 for those after it."""
    decision: JsonObject = {"decision": body.decision, "data": body.data, "by": body.by}
    return await tell(house, Answer(read_task_id(task_id), APPROVAL, decision))


@router.get("/approvals/{task_id}/links", responses=WRONG_STATE)
async def make_links(
    task_id: str,
    house: Shared,
    request: Request,
    by: Annotated[str, Query(max_length=500, description="Who the links are for.")] = "",
) -> ApprovalLinks:
    """A link for each option, for whoever it is sent to: it needs no key, and only the first used counts."""
    asked = await asked_by(house.engine, APPROVAL, read_task_id(task_id))
    keys = await link_keys(house.engine, house.settings.secret_key)
    options = Approval.of(asked).options
    links = [Link(asked.task, asked.delivery, option, by) for option in options]
    return ApprovalLinks(
        links=[
            OptionLink(option=one.option, url=f"{request.base_url}a/{token_of(one, keys[0])}")
            for one in links
        ]
    )


@router.get("/questions")
async def list_questions(
    house: Shared, run_id: RunId = None, limit: Limit = 100, offset: Offset = 0
) -> QuestionList:
    """Questions that wait for an answer, oldest run first."""
    found = await asked_now(house.engine, AskedFilter(QUESTION, run_id, limit, offset))
    return QuestionList(items=[Question.of(one) for one in found])


@router.post("/questions/{task_id}", responses=WRONG_STATE, dependencies=[PlainJson])
async def answer(task_id: str, body: AnswerBody, house: Shared) -> Told:
    """Answers. What is empty or of the wrong kind is refused with 422, and the question stays open."""
    given: JsonObject = {"type": body.type, "answer": body.answer, "by": body.by}
    return await tell(house, Answer(read_task_id(task_id), QUESTION, given))


async def tell(house: House, answer: Answer) -> Told:
    """Wakes the task that the answer is for."""
    sent = await answer_task(house.engine, answer)
    await house.push(sent.dispatches)
    return Told(task_id=str(answer.task))


def read_task_id(text: str) -> TaskId:
    """Raises NotFound for what is no task's id."""
    try:
        task = TaskId.parse(text)
    except ValueError:
        raise NotFound("There is no such task") from None
    if str(task) != text.lower() or task.position > _LARGEST_POSITION:
        raise NotFound("There is no such task")
    return task
