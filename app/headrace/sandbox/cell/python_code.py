"""Runs a program in Python, in a cell."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from collections.abc import Callable
from inspect import Parameter
from types import ModuleType

from . import stand_in
from .trouble import PROGRAM, InTrouble
from .wire import Request, Taken, Takes

_WHOLE = ("task_input", "input")
_RETURNED = "__returned__"
_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


def run(request: Request) -> object:
    """What the program answers: what it returns; else its entry or `main` with the input; else `result`."""
    module = ModuleType("program")
    names = module.__dict__
    names["input"] = request["input"]
    sys.modules["program"] = module
    sys.modules["headrace"] = stand_in.module(_told(request))
    exec(compile(_as_function(_parsed(request["source"])), PROGRAM, "exec", dont_inherit=True), names)
    if _RETURNED in names:
        return names[_RETURNED]()
    function = names.get(request["entry"] or "main")
    if callable(function):
        return _called(function, request["input"])
    if request["entry"]:
        raise InTrouble("NoSuchFunction", f"the program has no function '{request['entry']}'")
    return names.get("result")


def _told(request: Request) -> dict[str, object] | None:
    """The task's input is told once, if the program gets it anyway."""
    return None if request["told"] is None else {"input": request["input"], **request["told"]}


def check(request: Request) -> dict[str, Takes]:
    """The program's functions and what they take, without running anything of it."""
    tree = _parsed(request["source"])
    functions = [one for one in tree.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {one.name: _taken(one.args) for one in functions if not one.name.startswith("_")}


def _taken(arguments: ast.arguments) -> Takes:
    by_place = [*arguments.posonlyargs, *arguments.args]
    names = [*by_place, *arguments.kwonlyargs]
    if arguments.kwarg or (len(names) == 1 and names[0].arg in _WHOLE):
        return None
    plain = len(by_place) - len(arguments.defaults)
    is_required = [at < plain for at in range(len(by_place))] + [one is None for one in arguments.kw_defaults]
    return [Taken(one.arg, _type(one.annotation), must) for one, must in zip(names, is_required, strict=True)]


def _type(annotation: ast.expr | None) -> str:
    base = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return _TYPES.get(base.id, "") if isinstance(base, ast.Name) else ""


def _parsed(source: str) -> ast.Module:
    try:
        tree = ast.parse(source, PROGRAM)
        compile(_as_function(tree), PROGRAM, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InTrouble("SyntaxError", f"SyntaxError: {message}", line) from None
    return tree


def _as_function(tree: ast.Module) -> ast.Module:
    """A program that returns is the body of a function; another one stays what it is."""
    if not any(_returns(one) for one in tree.body):
        return tree
    arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    function = ast.FunctionDef(name=_RETURNED, args=arguments, body=tree.body, decorator_list=[])
    return ast.fix_missing_locations(ast.Module(body=[function], type_ignores=[]))


def _returns(node: ast.AST) -> bool:
    """Whether a statement returns from where it stands, and not from a function inside it."""
    if isinstance(node, ast.Return):
        return True
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
        return False
    return any(_returns(one) for one in ast.iter_child_nodes(node))


def _called(function: Callable[..., object], payload: object) -> object:
    output = function(**_bound(function, payload))
    return asyncio.run(_awaited(output)) if inspect.isawaitable(output) else output


async def _awaited(output: object) -> object:
    return await output if inspect.isawaitable(output) else output


def _bound(function: Callable[..., object], payload: object) -> dict[str, object]:
    """The arguments: by name from an object, or all of it for a lone parameter that asks for that."""
    parameters = inspect.signature(function).parameters
    names = [one.name for one in parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    takes_more = len(names) < len(parameters)
    if len(names) == 1 and (names[0] in _WHOLE or not isinstance(payload, dict)):
        return {names[0]: payload}
    if not names and not takes_more:
        return {}
    if not isinstance(payload, dict):
        raise InTrouble("BadInput", f"the function needs an object with {', '.join(names) or 'its names'}")
    return {name: value for name, value in payload.items() if takes_more or name in names}
