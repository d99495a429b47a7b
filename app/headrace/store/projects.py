"""Which projects there are: all that something is named for."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.graph.project import DEFAULT_PROJECT, EVERY_PROJECT
from headrace.store.db import Tx


@dataclass(frozen=True, slots=True)
class Project:
    """A project. workflows, active_runs: how many. workers: that run and are healthy, and take its jobs.

    own_workers: of those, the ones that serve it by name.
    """

    name: str
    workflows: int
    active_runs: int
    workers: int
    own_workers: int


_FIND = f"""
WITH workflow_counts AS (SELECT project, count(*)::int AS number FROM workflows GROUP BY project),
run_counts AS (
  SELECT project, count(*)::int AS number FROM workflow_runs
  WHERE finished_at IS NULL AND parent_run_id IS NULL GROUP BY project
), alive AS (
  SELECT projects FROM workflow_workers
  WHERE state = 'running' AND stopped_at IS NULL AND last_heartbeat > now() - make_interval(secs => $1)
), named AS (
  SELECT '{DEFAULT_PROJECT}' AS name
  UNION SELECT project FROM workflow_counts
  UNION SELECT project FROM worker_targets WHERE wanted > 0
  UNION SELECT project FROM stored_activities
  UNION SELECT project FROM secrets
  UNION SELECT unnest(projects) FROM alive
)
SELECT n.name, coalesce(w.number, 0) AS workflows, coalesce(r.number, 0) AS active_runs,
       (SELECT count(*)::int FROM alive a WHERE a.projects && ARRAY[n.name, '{EVERY_PROJECT}']) AS workers,
       (SELECT count(*)::int FROM alive a WHERE n.name = ANY(a.projects)) AS own_workers
FROM named n
LEFT JOIN workflow_counts w ON w.project = n.name
LEFT JOIN run_counts r ON r.project = n.name
WHERE n.name <> '{EVERY_PROJECT}' ORDER BY n.name
"""


async def find(tx: Tx, healthy_seconds: float) -> list[Project]:
    """All projects, by name. healthy_seconds: how old a worker's heartbeat may be."""
    return [Project(**dict(row)) for row in await tx.fetch(_FIND, healthy_seconds)]
