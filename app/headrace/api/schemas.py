"""What the API says and hears, as `/docs` shows it. Times are ISO 8601 in UTC unless a field says ms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.settings import PriorityValue
from headrace.store.workflows import StoredWorkflow


class Model(BaseModel):
    """camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Body(Model):
    """What clients send: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "must lie in the years 1 to 9999, in UTC") from None


Moment: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]
"""A time that a client says; without a zone it is UTC."""


def milliseconds(moment: datetime) -> int:
    """Since 1970, as JavaScript counts."""
    return round(moment.timestamp() * 1000)


class ErrorDetail(Model):
    """One thing that is wrong with a request, and where."""

    path: str
    message: str = ""
    hint: str = ""

    @classmethod
    def of(cls, problem: Problem) -> ErrorDetail:
        return cls(path=problem.path, message=problem.message, hint=problem.hint)


class ErrorBody(Model):
    """What every error answers."""

    message: str
    error: str
    status_code: int
    details: list[ErrorDetail] | None = None


Faults: TypeAlias = dict[int | str, dict[str, object]]
NOT_FOUND: Faults = {404: {"model": ErrorBody, "description": "There is no such thing."}}
WRONG_STATE: Faults = {409: {"model": ErrorBody, "description": "Not in its present state."}}


class WorkflowLine(Model):
    """A workflow in the list. version: the current one."""

    id: UUID
    name: str
    project: str
    version: int
    updated_at: int = Field(description="Milliseconds since 1970.")


class Workflow(Model):
    """A whole workflow in the wire form. Options such as `onFailure` and `outputs` stand beside `nodes`."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    name: str
    project: str
    version: int
    nodes: list[JsonObject]
    edges: list[JsonObject]
    created_at: int = Field(description="Milliseconds since 1970.")
    updated_at: int = Field(description="Milliseconds since 1970.")

    @classmethod
    def of(cls, stored: StoredWorkflow) -> Workflow:
        facts: JsonObject = {
            "id": str(stored.id),
            "project": stored.project,
            "version": stored.version,
            "createdAt": milliseconds(stored.created_at),
            "updatedAt": milliseconds(stored.updated_at),
        }
        return cls.model_validate(stored.definition | facts)


class SavedWorkflow(Workflow):
    """A workflow that was just saved. warnings: what of it will surprise, as a node that can never run."""

    warnings: list[ErrorDetail]


class ImportedWorkflow(SavedWorkflow):
    """A workflow that was imported and saved. notes: what will be otherwise than it was."""

    notes: list[ErrorDetail]


class Validation(Model):
    """What is wrong with a definition, and what of it will surprise. valid: it could be saved."""

    valid: bool
    problems: list[ErrorDetail]
    warnings: list[ErrorDetail]


class Deleted(Model):
    deleted: Literal[True] = True


class StartBody(Body):
    """input: what the workflow's first nodes get. priority: LOW, NORMAL, HIGH or CRITICAL, or its number.

    version: instead of the current one. mocks: answers of nodes that are not run, by node id. breakpoints:
    nodes before which the run stops; steps: it stops before each. A node in a body is `map/node`. node: run
    only this one, with the input.
    """

    input: JsonValue = None
    priority: PriorityValue | None = None
    version: int | None = Field(None, ge=1)
    mocks: JsonObject | None = None
    breakpoints: list[str] = Field(default=[], max_length=20_000)
    steps: bool = False
    node: str | None = None


class Started(Model):
    run_id: UUID
