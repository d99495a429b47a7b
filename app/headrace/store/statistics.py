"""Figures of attempts: added by worker processes every few seconds, an hour a row; read over any window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from headrace.graph.histogram import Histogram
from headrace.graph.statistics import Key, Tally
from headrace.store.db import Record, Tx

DAYS_KEPT = 30


def _summed(column: str) -> str:
    """Both rows' counts, bucket by bucket; the shorter array ends with nulls."""
    return f"""coalesce((SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY n)
      FROM unnest(s.{column}, excluded.{column}) WITH ORDINALITY AS both_rows(a, b, n)), '{{}}')"""


# The rows are taken in the order of their keys: many processes add to the same ones at once.
_ADD = f"""
INSERT INTO attempt_statistics AS s
  (project, name, hour, success, failure, retries, died, busy, execution, execution_time, wait, wait_time)
SELECT project, name, date_trunc('hour', now(), 'UTC'), success, failure, retries, died, busy,
       execution::int[], execution_time, wait::int[], wait_time
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::text[], $9::bigint[], $10::text[], $11::bigint[])
  AS g(project, name, success, failure, retries, died, busy, execution, execution_time, wait, wait_time)
ORDER BY project, name
ON CONFLICT (project, name, hour) DO UPDATE
SET success = s.success + excluded.success, failure = s.failure + excluded.failure,
    retries = s.retries + excluded.retries, died = s.died + excluded.died, busy = s.busy + excluded.busy,
    execution_time = s.execution_time + excluded.execution_time, wait_time = s.wait_time + excluded.wait_time,
    execution = {_summed("execution")},
    wait = {_summed("wait")},
    last_at = now()
"""


async def add(tx: Tx, news: Mapping[Key, Tally]) -> None:
    """Adds what was counted since the last time to the present hour, in one statement."""
    tallies = list(news.values())
    await tx.fetch(
        _ADD,
        [key.project for key in news],
        [key.name for key in news],
        [one.success for one in tallies],
        [one.failure for one in tallies],
        [one.retries for one in tallies],
        [one.died for one in tallies],
        [one.busy for one in tallies],
        [_literal(one.execution) for one in tallies],
        [one.execution.microseconds for one in tallies],
        [_literal(one.wait) for one in tallies],
        [one.wait.microseconds for one in tallies],
    )


def _literal(histogram: Histogram) -> str:
    """As PostgreSQL writes an array: arrays of different lengths cannot be unnested together."""
    return f"{{{','.join(map(str, histogram.counts))}}}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figures. since: from the beginning of this moment's hour; None: all that are kept."""

    project: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The figures of one name in one project. last_at: when some came last."""

    key: Key
    tally: Tally
    last_at: datetime


def _added_up(column: str) -> str:
    return f"""coalesce((SELECT array_agg(number ORDER BY n) FROM (
      SELECT n, sum(counts.number)::bigint AS number
      FROM chosen c, unnest(c.{column}) WITH ORDINALITY AS counts(number, n)
      WHERE c.project = chosen.project AND c.name = chosen.name GROUP BY n) AS buckets), '{{}}')"""


_READ = f"""
WITH chosen AS MATERIALIZED (
  SELECT * FROM attempt_statistics
  WHERE ($1::text IS NULL OR project = $1)
    AND ($2::timestamptz IS NULL OR hour >= date_trunc('hour', $2::timestamptz, 'UTC'))
)
SELECT project, name, sum(success)::bigint AS success, sum(failure)::bigint AS failure,
       sum(retries)::bigint AS retries, sum(died)::bigint AS died, sum(busy)::bigint AS busy,
       sum(execution_time)::bigint AS execution_time, sum(wait_time)::bigint AS wait_time,
       max(last_at) AS last_at,
       {_added_up("execution")} AS execution, {_added_up("wait")} AS wait
FROM chosen GROUP BY project, name ORDER BY project, name
"""


async def read(tx: Tx, wanted: Wanted) -> list[Counted]:
    """Figures by project and name."""
    return [_counted(row) for row in await tx.fetch(_READ, wanted.project, wanted.since)]


def _counted(row: Record) -> Counted:
    tally = Tally(
        success=row.success,
        failure=row.failure,
        retries=row.retries,
        died=row.died,
        busy=row.busy,
        execution=Histogram(list(row.execution), row.execution_time),
        wait=Histogram(list(row.wait), row.wait_time),
    )
    return Counted(Key(row.project, row.name), tally, row.last_at)


async def forget_old(tx: Tx) -> None:
    """Deletes the hours that are older than DAYS_KEPT."""
    await tx.fetch("DELETE FROM attempt_statistics WHERE hour < now() - make_interval(days => $1)", DAYS_KEPT)
