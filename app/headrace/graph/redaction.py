"""Secrets taken out of what a node leaves behind."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, assert_never
from urllib.parse import quote, quote_plus

from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Child, Done, Failed, Held, Outcome, Spawned, Verdict, Waiting

HIDDEN: Final = "***"

SHORTEST: Final = 4
"""Characters of the shortest secret: shorter texts stand everywhere by chance."""


class Redaction:
    """Hides secrets wherever they stand in a text: as they are, and as they stand in JSON, in URLs, in
    base64 and in the escapes of Python.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # The longest first: one form may begin another.
        self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or "(?!)")

    def text(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text)

    def value(self, value: JsonValue) -> JsonValue:
        """A value without the secrets in its texts and keys."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(one) for one in value]
            case dict():
                return {self.text(key): self.value(one) for key, one in value.items()}
            case _:
                return value

    def outcome(self, outcome: Outcome) -> Outcome:
        """What a node answered. The input of runs that it starts is data, too: no secret goes there."""
        match outcome:
            case Done():
                verdict = outcome.verdict and self._verdict(outcome.verdict)
                return replace(outcome, output=self.value(outcome.output), verdict=verdict)
            case Failed():
                message, details = self.text(outcome.message), self.value(outcome.details)
                return replace(outcome, message=message, details=details)
            case Waiting():
                return replace(outcome, memory=self.value(outcome.memory))
            case Spawned():
                children = [self._child(one) for one in outcome.children]
                return replace(outcome, children=children, memory=self.value(outcome.memory))
            case Held():
                return outcome
            case _:
                assert_never(outcome)

    def _verdict(self, verdict: Verdict) -> Verdict:
        return replace(verdict, reason=self.text(verdict.reason))

    def _child(self, child: Child) -> Child:
        return replace(child, input=self.value(child.input))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    for safe in ("", "/"):
        yield quote(secret, safe)
        yield quote_plus(secret, safe)
    encoded = base64.b64encode(secret.encode()).decode()
    yield from (encoded, encoded.rstrip("="), encoded.replace("+", "-").replace("/", "_").rstrip("="))
