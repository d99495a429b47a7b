"""YAML as another way to write JSON: what JSON cannot say is refused or stays text.

Only `true`, `false`, `null`, `~`, nothing at all and JSON's numbers are no texts, much as in YAML 1.2: `on`,
`no`, `yes`, dates, `0755` and `1:30` are texts. There are no tags and so no objects, no merge keys, and one
document. An alias repeats a value, and what it repeats counts again: no small text becomes a huge value.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import NoReturn, Protocol, cast

import yaml

from headrace.errors import InvalidInput, Problem
from headrace.graph.json_types import JsonObject, JsonValue

DEEPEST = 150
"""Levels of lists and mappings."""
LARGEST = 32 * 1024 * 1024
"""Characters of texts and keys and 16 for each value, aliases written out."""

_EACH = 16
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_MERGE = "<<"
_WORDS: dict[str, JsonValue] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 400

# The same events, written in C where PyYAML was built with it: twenty times as fast.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Mark(Protocol):
    """A place in the text, from 0: PyYAML has two classes for it."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


def read_yaml(text: str | bytes, largest: int = LARGEST) -> JsonValue:
    """The value of a YAML text. Raises InvalidInput that says where it stops being such a text."""
    reader = _Reader(largest)
    try:
        for event in yaml.parse(text, _LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise _fault(error.problem or str(error), error.problem_mark) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise _fault(str(error).partition("\n")[0], None) from error
    return reader.value


def _fault(message: str, mark: _Mark | None, path: str = "", hint: str = "") -> InvalidInput:
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return InvalidInput("This is not YAML that can be read", [Problem(path, where + message, hint)])


@dataclass(slots=True)
class _Open:
    """A list or mapping that is still being read. begin: the size of all before it. key: awaits its value."""

    value: JsonObject | list[JsonValue]
    anchor: str | None
    begin: int
    key: str | None = None

    @property
    def awaits_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)

    def add(self, value: JsonValue) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            self.value[cast(str, self.key)] = value
            self.key = None

    @property
    def place(self) -> str:
        if isinstance(self.value, list):
            return f"[{len(self.value)}]"
        return "" if self.key is None else f".{self.key}"


class _Reader:
    """Builds the value from the parser's events, without recursion. anchors: values with their sizes."""

    def __init__(self, largest: int) -> None:
        self.value: JsonValue = None
        self._largest = largest
        self._size = 0
        self._documents = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[JsonValue, int]] = {}

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent() if self._stack and self._stack[-1].awaits_key:
                self._take_key(event)
            case yaml.ScalarEvent():
                self._put(self._scalar(event), _EACH + len(event.value), event.anchor)
            case yaml.AliasEvent():
                self._take_alias(event)
            case yaml.CollectionStartEvent():
                self._begin(event)
            case yaml.CollectionEndEvent():
                closed = self._stack.pop()
                self._put(closed.value, self._size - closed.begin, closed.anchor)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(event, "a second document begins", "write one workflow a file")

    def _take_key(self, event: yaml.ScalarEvent) -> None:
        """A key is its text, whatever it would be as a value: `on`, `1`, `true`."""
        mapping = self._stack[-1]
        key = event.value
        if key == _MERGE and event.implicit[0]:
            self._refuse(event, "merge keys are not read", "write the keys out, or use an alias for a value")
        if event.tag not in _TEXT_TAGS:
            self._refuse(event, f"the tag {event.tag} is not read")
        if key in mapping.value:
            self._refuse(event, f"the key '{key}' is there twice")
        self._grow(event, len(key))
        if event.anchor:
            self._anchors[event.anchor] = (key, _EACH + len(key))
        mapping.key = key

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        if self._stack and self._stack[-1].awaits_key:
            self._refuse(event, "an alias cannot be a key")
        if event.anchor not in self._anchors:
            self._refuse(event, f"the alias *{event.anchor} repeats nothing finished before it")
        value, size = self._anchors[event.anchor]
        self._grow(event, size)
        self._put(value, size, None)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if self._stack and self._stack[-1].awaits_key:
            self._refuse(event, "a list or mapping cannot be a key")
        if event.tag is not None:
            self._refuse(event, f"the tag {event.tag} is not read")
        if len(self._stack) == DEEPEST:
            self._refuse(event, f"nested more than {DEEPEST} levels deep")
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        begin = self._size
        self._grow(event, _EACH)
        value: JsonObject | list[JsonValue] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(value, event.anchor, begin))

    def _scalar(self, event: yaml.ScalarEvent) -> JsonValue:
        text: str = event.value
        self._grow(event, _EACH + len(text))
        if event.tag not in _TEXT_TAGS:
            self._refuse(event, f"the tag {event.tag} is not read")
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        return self._number(event, text) if _NUMBER.fullmatch(text) else text

    def _number(self, event: yaml.ScalarEvent, text: str) -> JsonValue:
        if len(text) > _LONGEST_NUMBER:
            self._refuse(event, "the number is too long", "in quotes it is a text")
        number = cast("int | float", json.loads(text))
        if abs(number) == math.inf:
            self._refuse(event, "the number is too large", "in quotes it is a text")
        return number

    def _put(self, value: JsonValue, size: int, anchor: str | None) -> None:
        """Puts a finished value where it belongs."""
        if anchor:
            self._anchors[anchor] = (value, size)
        if self._stack:
            self._stack[-1].add(value)
        else:
            self.value = value

    def _grow(self, event: yaml.Event, by: int) -> None:
        self._size += by
        if self._size > self._largest:
            self._refuse(event, "it is too large, aliases written out")

    def _refuse(self, event: yaml.Event, message: str, hint: str = "") -> NoReturn:
        path = "".join(one.place for one in self._stack).removeprefix(".")
        raise _fault(message, event.start_mark, path, hint)
