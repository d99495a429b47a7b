"""Modules as scripts, which is all that the engine runs: without the word `export`.

Each step is linear in the length of the source: whoever uploads one may have made it to be slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Match, Pattern

_EXPORT = re.compile(r"^[ \t]*+(export)\b", re.M)
_DEFAULT = re.compile(r"export\s++default\s++(?!(?:async\s++)?function\b[\s*]*+[\w$])")
_LIST = re.compile(r"export\s*+\{[^{}]*+\}(?!\s*+from\b)[ \t]*+;?")
_WORDS = re.compile(r"export\s++(?:default\s++)?(?=(?:async|function|const|let|var|class)\b)")

_CODE = re.compile(r"""[^/"'`{}]++""")
_COMMENT = re.compile(r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?+")
_TEXT = re.compile(r""""(?:[^"\\\n]|\\.)*+"?+|'(?:[^'\\\n]|\\.)*+'?+""", re.DOTALL)
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*+(`|\$\{)?+", re.DOTALL)
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*+\]?+)++/?+")
_BEFORE_REGEX = re.compile(
    r"(?:^|[^\w$)\].]|(?<![\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield))\Z"
)
_LONGEST_WORD = 12


def as_script(source: str) -> str:
    """A module without its exports; lines stay where they are. A script stays what it is."""
    if _EXPORT.search(source) is None:
        return source
    parts, done = [], 0
    for start in _exports(source):
        if found := next(filter(None, (one.match(source, start) for one in (_DEFAULT, _LIST, _WORDS))), None):
            parts += [source[done:start], _instead(found)]
            done = found.end()
    return "".join([*parts, source[done:]])


def _instead(found: Match[str]) -> str:
    words = "module.exports.default = " if found.re is _DEFAULT else ""
    return words + "\n" * found[0].count("\n")


def _exports(source: str) -> Iterator[int]:
    """Where the word stands at the beginning of a line, and in no comment, text or template."""
    for start, end in _Reader(source).code():
        yield from (found.start(1) for found in _EXPORT.finditer(source, start, end))


class _Reader:
    """Goes through a source once. What has no end, ends with the source or its line."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._before = ""  # the last signs of code: a slash after them divides, or begins an expression
        self._braces = [0]  # open ones; in each template that is open, those of its `${`

    def code(self) -> Iterator[tuple[int, int]]:
        """The stretches of code without texts, comments, templates, regular expressions and braces."""
        while self._at < len(self._source):
            if found := self._take(_CODE):
                yield found.span()
                self._before = found[0].rstrip()[-_LONGEST_WORD:] or self._before
            elif self._take(_COMMENT):
                pass
            elif self._take(_TEXT) or (_BEFORE_REGEX.search(self._before) and self._take(_REGEX)):
                self._before = ")"
            else:
                self._sign(self._source[self._at])

    def _take(self, what: Pattern[str]) -> Match[str] | None:
        found = what.match(self._source, self._at)
        self._at = found.end() if found else self._at
        return found

    def _sign(self, sign: str) -> None:
        self._at += 1
        self._before = sign
        if sign == "`":
            self._through_template()
        elif sign == "{":
            self._braces[-1] += 1
        elif sign == "}" and self._braces[-1]:
            self._braces[-1] -= 1
        elif sign == "}" and len(self._braces) > 1:
            self._braces.pop()
            self._through_template()

    def _through_template(self) -> None:
        """To its end, or into the next `${` of it."""
        found = self._take(_TEMPLATE)
        if found and found[1] == "${":
            self._braces.append(0)
            self._before = "{"
        else:
            self._before = ")"
