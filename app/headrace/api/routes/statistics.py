"""Statistics of activities and node types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from headrace.api.deps import House, Shared
from headrace.api.schemas import NOT_FOUND, Model
from headrace.engine.statistics import Figures, figures
from headrace.errors import NotFound
from headrace.graph.histogram import ERROR, Histogram
from headrace.graph.project import DEFAULT_PROJECT
from headrace.store.statistics import DAYS_KEPT, Wanted

router = APIRouter(tags=["statistics"])


class Durations(Model):
    """Milliseconds; null when nothing was counted. The average is exact, the others are right to 5 %."""

    average_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, histogram: Histogram) -> Durations:
        return cls(
            average_ms=_milliseconds(histogram.average),
            p50_ms=_milliseconds(histogram.quantile(0.5)),
            p95_ms=_milliseconds(histogram.quantile(0.95)),
            p99_ms=_milliseconds(histogram.quantile(0.99)),
        )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


class StatisticsOut(Model):
    """Figures of attempts, by the name of the node type or of the activity."""

    project: str
    name: str
    count: int = Field(description="Attempts that ended.")
    success: int
    failure: int = Field(description="Attempts that failed, those that were tried again too.")
    retries: int = Field(description="Attempts that failed and were tried again.")
    died: int = Field(description="Attempts whose own process died, or needed too much memory.")
    busy_ms: float = Field(description="Time that code ran, in attempts that then waited too.")
    execution: Durations = Field(description="Of an attempt's code.")
    queue_wait: Durations = Field(description="From queued to started.")
    last_at: datetime | None = Field(description="When figures came last.")
    own_workers: list[str] = Field(
        description="Why it should get workers of its own: `busy`, `slow`, `dies`; empty: nothing says so."
    )

    @classmethod
    def of(cls, one: Figures) -> StatisticsOut:
        tally = one.tally
        return cls(
            project=one.key.project,
            name=one.key.name,
            count=tally.count,
            success=tally.success,
            failure=tally.failure,
            retries=tally.retries,
            died=tally.died,
            busy_ms=tally.busy / 1000,
            execution=Durations.of(tally.execution),
            queue_wait=Durations.of(tally.wait),
            last_at=one.last_at,
            own_workers=list(one.own_workers),
        )


class Statistics(Model):
    """items: what took most of the time first. error: how far a percentile may be off, as a share of it."""

    items: list[StatisticsOut]
    error: float = ERROR


Since: TypeAlias = Annotated[
    AwareDatetime | None,
    Query(description=f"From the beginning of this moment's hour; figures are kept {DAYS_KEPT} days."),
]


@router.get("/stats")
async def all_statistics(
    house: Shared,
    since: Since = None,
    project: Annotated[str | None, Query(description="Only of this project.")] = None,
) -> Statistics:
    """Count, failures, retries, execution time and queue wait of every node type and activity that ran."""
    found = await figures(house.engine, Wanted(project, since))
    return Statistics(items=[StatisticsOut.of(one) for one in found])


@router.get("/activities/{name}/stats", responses=NOT_FOUND)
async def statistics_of_one(
    name: str, house: Shared, since: Since = None, project: Annotated[str, Query()] = DEFAULT_PROJECT
) -> StatisticsOut:
    """The same of one activity or node type; 404 when it did not run in this window."""
    return await _of_one(house, name, Wanted(project, since))


async def _of_one(house: House, name: str, wanted: Wanted) -> StatisticsOut:
    for one in await figures(house.engine, wanted):
        if one.key.name == name:
            return StatisticsOut.of(one)
    raise NotFound(f"No attempt of '{name}' ended in project {wanted.project} in this time")
