"""What the API says of activities."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ActiveVersion(_Answer):
    """The version that new runs use."""

    hash: str
    language: str
    entry: str


class Activity(_Answer):
    """An activity in the list. active: of one that is stored; source: of one that workers bring."""

    name: str
    origin: str
    used_by: list[str] = []
    active: ActiveVersion | None = None
    source: str | None = None


class Activities(_Answer):
    """Activities by name."""

    items: list[Activity]


class Uploaded(_Answer):
    """A version that was uploaded or activated."""

    name: str
    hash: str
    is_new: bool = False
