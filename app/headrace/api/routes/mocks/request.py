"""What the mock endpoints accept."""

from __future__ import annotations

import json

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, model_validator

_DEEPEST = 32


class Fields(BaseModel):
    """A request's fields. Unknown ones are ignored; null and '' count as missing, so the default stands."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _blank_is_missing(cls, fields: object) -> object:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value not in (None, "")}

    def given(self, *names: str) -> dict[str, object]:
        """The fields among `names` (if none, all) that were sent, for answers that repeat only those."""
        return self.model_dump(include=set(names) or None, exclude_unset=True, by_alias=True)


async def plain_json(request: Request) -> None:
    """Refuses with 422 a body that no answer could repeat: bad UTF-8, NaN, lone surrogates, deep nesting.

    FastAPI's own 422 repeats the value that offends, and such a value would turn it into a 500.
    """
    try:
        _check(await request.body())
    except (ValueError, RecursionError) as error:
        problem = {
            "type": "json_invalid",
            "loc": ("body",),
            "msg": "The body is not plain JSON",
            "input": None,
        }
        raise RequestValidationError([problem]) from error


def _check(body: bytes) -> None:
    """Raises ValueError or RecursionError when the body cannot be written back as JSON."""
    value: object = json.loads(body.decode() or "{}")
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    if _depth(value) > _DEEPEST:
        raise ValueError("nested too deeply")


def _depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0
