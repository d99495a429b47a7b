"""`/a/{token}`: what a person sees who was sent a link to an approval.

Looking decides nothing: scanners of mail follow links. The button on the page does, once.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from headrace.api import approval_page
from headrace.api.deps import House, Shared
from headrace.api.routes.people import tell
from headrace.engine.asking import Link, asked_by, link_keys, read_token
from headrace.engine.signals import Answer
from headrace.errors import InvalidInput, NotFound, WrongState
from headrace.graph.json_types import JsonObject
from headrace.nodes.approval import APPROVAL
from headrace.store.asking import Asked

router = APIRouter(prefix="/a", tags=["people"], include_in_schema=False, default_response_class=HTMLResponse)

_HEADERS = {
    "Cache-Control": "no-store",
    # With `no-referrer`, browsers would send `Origin: null` with the button, as a strange page does.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
}


@router.get("/{token}")
async def look(token: str, house: Shared) -> HTMLResponse:
    """What is asked, with a button; 410 once it is decided or its time is out."""
    try:
        link, asked = await _open(house, token)
    except (NotFound, WrongState):
        return _gone()
    return _page(approval_page.ask(link.option, asked.asked))


@router.post("/{token}")
async def decide(token: str, house: Shared, request: Request) -> HTMLResponse:
    """Decides as the link says; 410 when that was done before."""
    fields = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
    try:
        link, asked = await _open(house, token)
        data = approval_page.read(asked.asked, fields)
        decision: JsonObject = {"decision": link.option, "data": data, "by": link.by or None}
        await tell(house, Answer(link.task, APPROVAL, decision, link.delivery))
    except (NotFound, WrongState):
        return _gone()
    except InvalidInput as error:
        faults = [f"{one.path.removeprefix('data.')}: {one.message}" for one in error.problems]
        page = approval_page.ask(link.option, asked.asked, faults)
        return _page(page, HTTPStatus.UNPROCESSABLE_ENTITY)
    return _page(approval_page.thank(link.option))


async def _open(house: House, token: str) -> tuple[Link, Asked]:
    """What the link is about. Raises NotFound for a forged one, WrongState when it is too late."""
    link = read_token(token, await link_keys(house.engine, house.settings.secret_key))
    asked = await asked_by(house.engine, APPROVAL, link.task)
    if asked.delivery != link.delivery:
        raise WrongState
    return link, asked


def _gone() -> HTMLResponse:
    return _page(approval_page.gone(), HTTPStatus.GONE)


def _page(text: str, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    return HTMLResponse(text, status, _HEADERS)
