"""What an import found, and settings that are taken out one by one: what nobody took is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from headrace.errors import BadExpression, Problem
from headrace.graph.imports.infix import Names, as_rule
from headrace.graph.json_types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Imported:
    """A definition in the flat form. notes: what will be otherwise than it was; paths are the original's."""

    document: JsonObject
    notes: list[Problem]


@dataclass(slots=True)
class Findings:
    """problems: why it cannot be imported. notes: what will be otherwise than it was."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class Settings:
    """The settings of one thing. path: where they stand."""

    values: JsonObject
    path: str
    findings: Findings
    _taken: set[str] = field(default_factory=set)

    def take(self, *names: str, default: JsonValue = None) -> JsonValue:
        """The value under the first of these names that is there; null counts as not there."""
        self._taken.update(names)
        given = (value for name in names if (value := self.values.get(name)) is not None)
        return next(given, default)

    def text(self, *names: str, default: str = "") -> str:
        """The same for a text; anything else is a problem."""
        value = self.take(*names, default=default)
        if not isinstance(value, str):
            self.refuse(names[0], "a text is expected")
            return default
        return value

    def number(self, *names: str, default: float = 0) -> float:
        """The same for a number of at least 0, which may be written as a text."""
        value = self.take(*names, default=default)
        try:
            number = float(value) if isinstance(value, (str, int, float)) else -1
        except ValueError:
            number = -1
        if not 0 <= number < float("inf"):
            self.refuse(names[0], "a number of at least 0 is expected")
            return default
        return number

    def attempt(self, name: str, read: Callable[[], JsonValue]) -> JsonValue:
        """What `read` gives; None and a problem if that has no counterpart."""
        try:
            return read()
        except BadExpression as error:
            self.refuse(name, error.message)
            return None

    def rule(self, name: str, text: str, names: Names) -> JsonValue:
        """An expression as json-logic; None and a problem if it has no counterpart there."""
        try:
            return as_rule(text, names)
        except BadExpression as error:
            self.refuse(
                name, f"the expression `{text}` has no counterpart: {error.message}", "write json-logic"
            )
            return None

    def refuse(self, name: str, message: str, hint: str = "") -> None:
        """Notes a problem with a setting, or with the whole (name '')."""
        self.findings.problems.append(Problem(self._at(name), message, hint))

    def note(self, name: str, message: str, hint: str = "") -> None:
        """Notes what will be otherwise than it was."""
        self.findings.notes.append(Problem(self._at(name), message, hint))

    def leave(self) -> None:
        """Tells of what nobody took."""
        for name in self.left():
            self.note(name, f"the setting '{name}' has no counterpart and is left out")

    def left(self) -> Iterator[str]:
        empty: tuple[JsonValue, ...] = (None, "", [], {})
        return (name for name, value in self.values.items() if name not in self._taken and value not in empty)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}".strip(".") if name else self.path
