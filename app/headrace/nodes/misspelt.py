"""Settings that nobody reads and that look like one that is read."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import AliasChoices

from headrace.errors import Problem
from headrace.nodes.base import Config

_ALIKE = 0.8
"""How much of a name must be another's: `templte` is near `template`, `label` is near nothing."""


def misspelt(config: Config) -> Iterator[Problem]:
    """A caution for each; other unknown keys are clients' own, and kept without a word."""
    known = sorted(_known(type(config)))
    for name in config.model_extra or {}:
        if near := get_close_matches(name, known, 1, _ALIKE):
            yield Problem(name, "is no setting and is not read", f"did you mean '{near[0]}'?")


def _known(model: type[Config]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        yield from (one for one in choices if isinstance(one, str))
