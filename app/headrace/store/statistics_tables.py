"""The table of statistics."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Integer, Text
from sqlmodel import Field, SQLModel

from headrace.store.columns import instant


def _total() -> Column[int]:
    return Column(BigInteger, nullable=False)


def _buckets() -> Column[list[int]]:
    return Column(ARRAY(Integer), nullable=False)


class StatisticsRow(SQLModel, table=True):
    """What was counted in one hour, as `headrace.graph.statistics.Tally` says.

    name: a node type or an activity. execution, wait: counts of histograms, a number a bucket; busy,
    execution_time, wait_time: microseconds. last_at: when figures came last.
    """

    __tablename__ = "attempt_statistics"
    __table_args__ = (Index(None, "hour"),)

    project: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    name: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    hour: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True, nullable=False))
    success: int = Field(sa_column=_total())
    failure: int = Field(sa_column=_total())
    retries: int = Field(sa_column=_total())
    died: int = Field(sa_column=_total())
    busy: int = Field(sa_column=_total())
    execution: list[int] = Field(sa_column=_buckets())
    execution_time: int = Field(sa_column=_total())
    wait: list[int] = Field(sa_column=_buckets())
    wait_time: int = Field(sa_column=_total())
    last_at: datetime = Field(sa_column=instant(default="now()"))
