"""What each error answers, in one table. Every body is `{message, error, statusCode, details?}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException as StarletteHTTPException

from headrace import errors
from headrace.errors import HeadraceError, InvalidInput, Problem
from headrace.graph.faults import faults, in_words
from headrace.log import Log
from headrace.store.db import BadValue

STATUS: Mapping[type[HeadraceError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BadExpression: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MissingReference: HTTPStatus.UNPROCESSABLE_ENTITY,
    BadValue: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.NotAuthentic: HTTPStatus.UNAUTHORIZED,
    errors.WrongState: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.QueueUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""By the error's class or the nearest one above it; InvalidDefinition and IdempotencyConflict are inputs."""

_PHRASES: Mapping[int, str] = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Payload Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Entity",
}
"""Where Python's own phrases differ between its versions."""

RETRY_SECONDS = 2
"""After how long a client may try again what answered 503."""

_log = Log("headrace.api")


def answer_error(
    status: int, message: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The one shape of every error."""
    body: dict[str, object] = {"message": message, "error": _phrase(status), "statusCode": int(status)}
    if problems:
        body["details"] = [problem.as_dict() for problem in problems]
    return JSONResponse(body, status, dict(headers) if headers else None)


def _phrase(status: int) -> str:
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def install(app: FastAPI) -> None:
    """Lets the application answer every error in this shape."""
    app.exception_handler(HeadraceError)(_headrace)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(StarletteHTTPException)(_http)
    app.exception_handler(Exception)(_crash)


async def _headrace(request: Request, error: HeadraceError) -> JSONResponse:
    kind = next((kind for kind in type(error).__mro__ if kind in STATUS), None)
    if kind is None:
        return await _crash(request, error)
    status = STATUS[kind]
    problems = error.problems if isinstance(error, InvalidInput) else ()
    is_away = status is HTTPStatus.SERVICE_UNAVAILABLE
    return answer_error(
        status, error.message, problems, {"Retry-After": str(RETRY_SECONDS)} if is_away else None
    )


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    found = error.errors()
    inside = [cast(ErrorDetails, {**one, "loc": one["loc"][1:]}) for one in found if _is_inside(one)]
    beside = [one for one in found if not _is_inside(one)]
    problems = [
        *(replace(one, path=_plain(one.path)) for one in faults(inside, error.body)),
        *(Problem(_plain(".".join(map(str, one["loc"]))), in_words(one)) for one in beside),
    ]
    return answer_error(HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid", problems)


def _is_inside(error: ErrorDetails) -> bool:
    """Whether it is about the body; else it is about the path, the query or a header."""
    return error["loc"][:1] == ("body",)


def _plain(path: str) -> str:
    """A path that can be answered: a key may hold half a character."""
    return path.encode(errors="backslashreplace").decode()


async def _http(_: Request, error: HTTPException) -> JSONResponse:
    return answer_error(error.status_code, str(error.detail), headers=error.headers)


async def _crash(request: Request, error: Exception) -> JSONResponse:
    _log.exception("request_failed", f"{request.method} {request.url.path}: {error}")
    return answer_error(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error")
