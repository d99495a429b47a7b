"""Conditions and formulas as people write them in JavaScript or Python, as json-logic.

Only what both languages and json-logic have in common: comparisons, `and`/`or`/`not` in either spelling,
arithmetic, `in`, numbers, texts, names with paths. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from headrace.errors import BadExpression
from headrace.graph.json_types import JsonValue

# What stands in the rule for a dotted path, as `{"var": "value.amount"}`. Raises BadExpression.
Names: TypeAlias = Callable[[str], JsonValue]

_DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?(?![\w.]))
      | (?P<text>'[^'\\]*'|"[^"\\]*")
      | \$\{\s*(?P<dollar>[\w.\[\]-]+)\s*\}
      | (?P<name>[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*|\[\d+\])*)
      | (?P<sign>===|!==|==|!=|<=|>=|&&|\|\||[-<>!+*/%(),])
    )""",
    re.VERBOSE,
)
REFERENCE = re.compile(r"\$\{\s*([\w.\[\]-]+)\s*\}")
_CONSTANTS: Mapping[str, JsonValue] = {
    **dict.fromkeys(("true", "True"), True),
    **dict.fromkeys(("false", "False"), False),
    **dict.fromkeys(("null", "None", "undefined"), None),
}
_SPELLINGS = {"&&": "and", "||": "or"}
_COMPARISONS = ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "in")
# From what binds least. Python's `not` binds less than a comparison, JavaScript's `!` more than all.
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",),
    ("and",),
    ("not",),
    _COMPARISONS,
    ("+", "-"),
    ("*", "/", "%"),
)
_WORDS = ("and", "or", "not", "in")
_FUNCTION = re.compile(
    r"\s*(?:lambda\s+(?P<python>[\w\s,]+):|\(?(?P<script>[\w\s,]+)\)?\s*=>)\s*(?P<body>.+)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def as_rule(text: str, names: Names) -> JsonValue:
    """The json-logic of an expression. Raises BadExpression for what has none."""
    return _Parser(list(_tokens(text)), names).whole()


def split_function(text: str) -> tuple[list[str], str]:
    """The parameters and the body of `(a, b) => a + b` or `lambda a, b: a + b`; else no parameters."""
    match = _FUNCTION.fullmatch(text)
    if match is None:
        return [], text
    parameters = match["python"] or match["script"]
    return [one.strip() for one in parameters.split(",")], match["body"]


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    text = text.strip().removesuffix(";")
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadExpression(f"'{text[position:].strip()[:20]}' cannot be read")
        kind, token = match.lastgroup, match[match.lastgroup]
        is_word = kind == "name" and token in _WORDS
        yield _Token("sign" if is_word else kind, _SPELLINGS.get(token, token) if kind != "text" else token)
        position = match.end()


class _Parser:
    def __init__(self, tokens: list[_Token], names: Names) -> None:
        self._rest = list(reversed(tokens))
        self._names = names
        self._depth = 0

    def whole(self) -> JsonValue:
        rule = self._level(0)
        if self._rest:
            raise BadExpression(f"'{self._rest[-1].text}' is not expected there")
        return rule

    def _level(self, level: int) -> JsonValue:
        if level == len(_LEVELS):
            return self._unary()
        if _LEVELS[level] == ("not",) and self._sign(("not",)):
            return {"!": [self._deeper(lambda: self._level(level))]}
        left = self._level(level + 1)
        while (sign := self._sign(_LEVELS[level])) is not None:
            right = self._level(level + 1)
            if sign == "+" and (_is_text(left) or _is_text(right)):
                raise BadExpression("it adds to a text")
            left = {sign: [left, right]}
            if sign in _COMPARISONS:
                break
        return left

    def _unary(self) -> JsonValue:
        if (sign := self._sign(("!", "-"))) is not None:
            return {sign: [self._deeper(self._unary)]}
        return self._value()

    def _deeper(self, read: Callable[[], JsonValue]) -> JsonValue:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadExpression("it is nested too deeply")
        rule = read()
        self._depth -= 1
        return rule

    def _value(self) -> JsonValue:
        if not self._rest:
            raise BadExpression("something is missing at its end")
        token = self._rest.pop()
        match token.kind:
            case "number":
                return float(token.text) if "." in token.text else int(token.text)
            case "text":
                return self._text(token.text[1:-1])
            case "dollar":
                return self._names(dotted(token.text))
            case "name" if token.text in _CONSTANTS:
                return _CONSTANTS[token.text]
            case "name":
                return self._name(token.text)
            case _:
                return self._group(token.text)

    def _text(self, text: str) -> JsonValue:
        """A text; one that is only a reference is what it refers to: quotes around it made it a text."""
        # Split by the group in the pattern, every second piece is a path.
        pieces = REFERENCE.split(text)
        parts = [self._names(dotted(one)) if at % 2 else one for at, one in enumerate(pieces)]
        given = [part for part in parts if part != ""]
        return {"cat": given} if len(given) > 1 else next(iter(given), "")

    def _name(self, name: str) -> JsonValue:
        if self._rest and self._rest[-1].text == "(":
            raise BadExpression(f"'{name}(...)' calls a function")
        return self._names(dotted(name))

    def _group(self, text: str) -> JsonValue:
        if text != "(":
            raise BadExpression(f"'{text}' is not expected there")
        rule = self._deeper(lambda: self._level(0))
        if self._sign((")",)) is None:
            raise BadExpression("a bracket is not closed")
        return rule

    def _sign(self, wanted: tuple[str, ...]) -> str | None:
        if self._rest and self._rest[-1].kind == "sign" and self._rest[-1].text in wanted:
            return self._rest.pop().text
        return None


def _is_text(rule: JsonValue) -> bool:
    return isinstance(rule, str) or (isinstance(rule, dict) and "cat" in rule)


def dotted(path: str) -> str:
    """`rows[0].name` as json-logic writes it: `rows.0.name`."""
    return path.replace("[", ".").replace("]", "")
