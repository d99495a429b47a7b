"""Runs a program in JavaScript, in a cell: each in an engine of its own, which has no door to the outside."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Protocol, cast

from .javascript_module import as_script
from .preloaded import JAVASCRIPT
from .trouble import InTrouble, too_deep
from .wire import Request, Taken, Takes

_STACK_BYTES = 512 * 1024
_WORDS_MB = 4  # what a program may have more when it is over, so that what it wrote can be read
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_HOPELESS = frozenset({"SyntaxError", "NoSuchFunction"})
_NO_STACK = "Maximum call stack size exceeded"
_IS_STRICT = re.compile(r"""\s*(?:'use strict'|"use strict")""")
_LEXICAL_ANSWER = re.compile(r"\b(?:let|const|class)\s+(?:result|main)\b")
_STRICT_ANSWER = re.compile(r"\b(?:let|const|class|var|function\s*\*?)\s*\b(?:result|main)\b")
_DECLARED = re.compile(r"\b(?:function\b[\s*]*+|(?:const|let|var|class)\s++)([A-Za-z_$][\w$]*+)", re.ASCII)
_TAKES_APART = re.compile(r"(?:async\b\s*+)?+(?:function\b[\s*]*+)?+[\w$]*+\s*+\(\s*+\{([^{}()]*+)\}\s*+\)")
_MESSAGE = re.compile(r"(?:(\w+): )?(.*?)(?:\n(?:\s+at .*|undefined))?\s*\Z", re.DOTALL)
# The prelude is one line, so that no other line is its.
_PLACE = re.compile(r"<input>:(\d+)")

# A body that returns is called; what follows the source stands on a line of its own, for comments at its end.
_SHAPES = ("{}", "(function () {{{}\n}})()", "(async function () {{{}\n}})()")

# Taken before the program can change what it finds. Values stay inside: on the way through Python, some texts
# and numbers would be lost.
_PRELUDE = """
(() => {
  "use strict";
  const stringify = JSON.stringify, text = String, evaluate = eval, lines = [];
  lines.toJSON = undefined;
  const shown = (one) => {
    if (typeof one !== "object" || one === null) return text(one);
    if (one instanceof Error) return text(one);
    try { return stringify(one); } catch { return text(one); }
  };
  const say = (...all) => {
    let line = "";
    for (let at = 0; at < all.length; at++) line += (at ? " " : "") + shown(all[at]);
    lines[lines.length] = line;
  };
  globalThis.console = { log: say, info: say, debug: say, warn: say, error: say };
  globalThis.module = { exports: {} };
  globalThis.exports = globalThis.module.exports;
  const state = { is_over: false, value: undefined, error: undefined, has_failed: false };
  const over = (value) => { state.value = value; state.is_over = true; };
  const failed = (error) => { state.error = error; state.is_over = state.has_failed = true; };
  const then = Promise.prototype.then, Promised = Promise;
  return {
    written: () => stringify(lines),
    evaluate: (source, answer) => {
      const value = evaluate(source);
      const found = value === undefined ? answer() : value;
      found instanceof Promised ? then.call(found, over, failed) : over(found);
    },
    is_over: () => state.is_over,
    fail: () => { if (state.has_failed) throw state.error; },
    output: () => {
      const json = stringify(state.value);
      return json === undefined ? "null" : json;
    },
  };
})()
"""

# What a program without a last value, which has no entry, answers.
_ANSWER = """
() => typeof result !== "undefined" ? result : typeof main === "function" ? main($) : undefined
"""


class _Engine(Protocol):
    """A context of quickjs-ng."""

    def eval(self, source: str) -> object: ...
    def set_memory_limit(self, bytes: int) -> None: ...
    def set(self, name: str, value: object) -> None: ...
    def parse_json(self, text: str) -> object: ...
    def execute_pending_job(self) -> bool: ...


class _Function(Protocol):
    """A function of the engine."""

    def __call__(self, *arguments: object) -> object: ...


def run(request: Request) -> object:
    """What its entry gives; without one, its last value; else `result`; else what `main` gives."""
    request, shape = _read(request)
    engine = _engine(request)
    prelude = cast(_Function, engine.eval(f"(all => name => all[name])({_PRELUDE})".replace("\n", " ")))
    written = cast(_Function, prelude("written"))
    try:
        return _output(engine, prelude, request, shape)
    except Exception as error:
        raise _trouble(error) from None
    finally:
        engine.set_memory_limit((request["memory_mb"] + _WORDS_MB) << 20)
        _write(written)


def check(request: Request) -> dict[str, Takes]:
    """The program's functions and what they take. It is run for this, and what it answers is dropped."""
    request, shape = _read(request)
    engine = _engine(request)
    try:
        engine.eval(_PRELUDE)
        engine.eval(shape.format(request["source"]) + "\n;undefined")
        declared = sorted(set(_DECLARED.findall(request["source"])))
        exported = json.loads(cast(str, engine.eval("JSON.stringify(Object.keys(module.exports))")))
        texts = {name: _text(engine, f"module.exports[{json.dumps(name)}]") for name in exported}
        texts |= {name: text for name in declared if (text := _text(engine, name))}
    except Exception as error:
        raise _trouble(error) from None
    return {name: _taken_apart(texts[name]) for name in sorted(texts)}


def _text(engine: _Engine, value: str) -> str:
    """The source of a function; '' of what is none."""
    found = engine.eval(f"typeof {value} === 'function' ? String({value}) : ''")
    return found if isinstance(found, str) else ""


def _taken_apart(text: str) -> Takes:
    """The parameters of a function that takes apart an object; None if it does not, or it is hard to say."""
    head = _TAKES_APART.match(text)
    parts = [part.partition("=") for part in head[1].split(",") if part.strip()] if head else []
    found = [Taken(name.partition(":")[0].strip(), "", not default) for name, default, _ in parts]
    return found if found and all(one[0].isidentifier() for one in found) else None


def _engine(request: Request) -> _Engine:
    """One that has the input as `$` and `input`."""
    if JAVASCRIPT not in sys.modules:
        raise InTrouble("SandboxUnavailable", "this installation has no quickjs-ng")
    engine = sys.modules[JAVASCRIPT].Context()
    engine.set_memory_limit(request["memory_mb"] << 20)
    engine.set_time_limit(request["seconds"])
    engine.set_max_stack_size(_STACK_BYTES)
    given = engine.parse_json(json.dumps(request["input"]))
    for name in ("$", "input"):
        engine.set(name, given)
    return cast(_Engine, engine)


def _read(request: Request) -> tuple[Request, str]:
    """How the source can be read: as a script, a module or a function's body. Nothing of it is run."""
    source = request["source"]
    script = as_script(source)
    readings = [(source, shape) for shape in _SHAPES]
    if script != source:
        readings.insert(1, (script, _SHAPES[0]))
    troubles = []
    for text, shape in readings:
        engine = _engine({**request, "input": None})
        try:
            engine.eval("throw 0;" + shape.format(text))
        except Exception as error:
            if str(error).split("\n")[0] == "0":
                return {**request, "source": text}, shape
            troubles.append(_trouble(error))
    raise troubles[script != source]


def _output(engine: _Engine, prelude: _Function, request: Request, shape: str) -> object:
    source, answer = shape.format(request["source"]), _ANSWER
    if request["entry"]:
        answer = _call_of(request["entry"])
    if request["entry"] or _hides_its_answer(request["source"]):
        engine.eval(f"{source}\n;undefined")
        source = ""
    cast(_Function, prelude("evaluate"))(source, engine.eval(answer.replace("\n", " ")))
    _settle(engine, cast(_Function, prelude("is_over")), request["seconds"])
    cast(_Function, prelude("fail"))()
    return _as_json(cast(_Function, prelude("output")))


def _as_json(output: _Function) -> object:
    """The engine, or Python after it, has no stack for what is nested too deep."""
    try:
        return json.loads(cast(str, output()))
    except Exception as error:
        if isinstance(error, RecursionError) or _NO_STACK in str(error):
            raise too_deep() from None
        raise


def _hides_its_answer(source: str) -> bool:
    """Whether `eval` would keep to itself what the program declares to be its answer."""
    return bool((_STRICT_ANSWER if _IS_STRICT.match(source) else _LEXICAL_ANSWER).search(source))


def _call_of(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InTrouble("NoSuchFunction", f"'{name}' is no name of a function")
    return f"""() => {{
      const found = typeof {name} === "function" ? {name} : module.exports["{name}"];
      if (typeof found === "function") return found($);
      throw Object.assign(new Error("the program has no function '{name}'"), {{ name: "NoSuchFunction" }});
    }}"""


def _settle(engine: _Engine, is_over: _Function, seconds: float) -> None:
    """Does what promises have put off; each piece has the time limit, and so have all of them."""
    last = time.process_time() + seconds
    while not is_over():
        if not engine.execute_pending_job():
            raise InTrouble("NeverSettled", "the promise never settles: nothing is left to do")
        if time.process_time() > last:
            raise _too_long()


def _write(written: _Function) -> None:
    try:
        lines = json.loads(cast(str, written()))
    except Exception as error:
        lines = [f"(what the program wrote is lost: {_trouble(error)})"]
    for line in lines:
        sys.stdout.write(f"{line}\n")


def _trouble(error: Exception) -> InTrouble:
    if isinstance(error, InTrouble):
        return error
    text = str(error)
    match = _MESSAGE.match(text)
    kind, message = match.groups("") if match else ("", text)
    place = _PLACE.search(text)
    if "interrupted" in text and kind == "InternalError":
        return _too_long()
    if "out of memory" in text or message == "null":  # there was no room for an exception
        return InTrouble("MemoryError", "the program needs more memory (or has thrown null)")
    said = f"{kind}: {message}" if kind else message
    return InTrouble(kind or "Error", said, int(place[1]) if place else 0, kind not in _HOPELESS)


def _too_long() -> InTrouble:
    return InTrouble("Timeout", "the program took longer than it may", retryable=True)
