"""rq-dashboard: the queues as RQ's own users know them, made safe to show."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import rq_dashboard
from flask import Flask, current_app, request
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker, requeue_job
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker
from rq_dashboard import web

from headrace.queues.connection import connect

_CONNECTION = "HEADRACE_CONNECTION"


class _JsonWorker(Worker):
    """rq-dashboard lists workers without saying how their jobs are written."""

    @classmethod
    def all(cls, connection: Redis | None = None, **_: object) -> list[BaseWorker]:  # type: ignore[override]
        return Worker.all(connection=connection, serializer=JSONSerializer)


class _JsonJob(Job):
    """The same for single jobs."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, **_: object) -> Job:  # type: ignore[override]
        return Job.fetch(id, connection=connection, serializer=JSONSerializer)


def _connection(*_: object, **__: object) -> tuple[None, Redis]:
    """The dashboard opens a connection for each request, by the address that it shows."""
    return None, current_app.config[_CONNECTION]


def _requeue(job_id: str, connection: Redis) -> Job:
    return requeue_job(job_id, connection=connection, serializer=JSONSerializer)


def dashboard(redis_url: str) -> Flask:
    """A WSGI application. It can requeue jobs, which never hurts (the claim decides), and delete none."""
    # Templates and static files are looked up under exactly this import name.
    app = Flask("rq_dashboard")
    app.config.from_object(rq_dashboard.default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = (_without_password(redis_url),)
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    app.config[_CONNECTION] = app.redis_conn = connect(redis_url)  # type: ignore[attr-defined]
    web.config.serializer = JSONSerializer
    web.Worker, web.Job, web.requeue_job, web.from_url = _JsonWorker, _JsonJob, _requeue, _connection
    app.before_request(_refuse_changes_by_get)
    app.register_blueprint(web.blueprint)
    app.register_error_handler(RedisError, lambda _: ("Redis does not answer", 503))
    app.register_error_handler(NoSuchJobError, lambda _: ("There is no such job", 404))
    app.register_error_handler(LookupError, lambda _: ("There is no such instance", 404))
    return app


def _refuse_changes_by_get() -> tuple[str, int] | None:
    """A link on any page could requeue all failed jobs."""
    if request.method == "GET" and request.path.startswith("/requeue/"):
        return "Use POST", 405
    return None


def _without_password(url: str) -> str:
    """The dashboard shows the address of its Redis."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
