"""Calling a Python activity whose source is text: which of its parameters gets what.

It runs in another process, mostly in a sandbox that has none of our modules, so it is text itself.
"""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from types import CodeType
from typing import cast

from headrace.graph.json_types import JsonObject, JsonValue

CALL = "__headrace_call__"
"""The function that `with_call` adds to a source."""

_CALL = """

def __headrace_call__(given):
    import inspect
    function = ENTRY
    known = inspect.signature(function).parameters.values()
    takes_all = any(one.kind == one.VAR_KEYWORD for one in known)
    known = [one for one in known if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if len(known) == 1 and (known[0].name == "task_input" or not isinstance(given, dict)):
        return function(**{known[0].name: given})
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise TypeError("ENTRY takes several parameters: give it an object")
    if takes_all:
        return function(**given)
    missing = [one.name for one in known if one.default is one.empty and one.name not in given]
    if missing:
        raise TypeError("ENTRY needs " + ", ".join(missing) + ": the node's config or its input gives it")
    return function(**{one.name: given[one.name] for one in known if one.name in given})
"""


def with_call(source: str, entry: str) -> str:
    """The source with a function `CALL(given)` behind it: line numbers stay.

    The entry gets those values of an object that it has parameters for, by name; one whose only parameter is
    `task_input` gets all of it.
    """
    return source + _CALL.replace("ENTRY", entry)


def run(payload: JsonObject) -> JsonObject | Coroutine[None, None, JsonObject]:
    """Runs a trusted source in this process; `{output, log}`. Its names are its own, in each call anew."""
    name, source, entry = (str(payload[key]) for key in ("name", "source", "entry"))
    names: dict[str, object] = {"__name__": name}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(_compiled(with_call(source, entry), name), names)
        call = cast("Callable[[JsonValue], object]", names[CALL])
        output = call(payload["given"])
    return _later(output, printed) if inspect.isawaitable(output) else _answer(output, printed)


async def _later(output: Awaitable[object], printed: io.StringIO) -> JsonObject:
    with contextlib.redirect_stdout(printed):
        return _answer(await output, printed)


def _answer(output: object, printed: io.StringIO) -> JsonObject:
    # Whether it is JSON, its process finds out when it sends it.
    return {"output": cast(JsonValue, output), "log": [*printed.getvalue().splitlines()]}


@lru_cache(maxsize=32)
def _compiled(source: str, name: str) -> CodeType:
    return compile(source, f"<activity {name}>", "exec")
