"""`worker_task`: makes a function an activity."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar, Unpack, overload

from headrace.activities.declaration import Activity, Declaration, Function, Origin
from headrace.activities.errors import BadDeclaration
from headrace.activities.options import Options, classes_of, defaults_of, name_of, require_known
from headrace.activities.registry import REGISTRY
from headrace.activities.signature import output_schema_of, signature_of

F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Place:
    """Where code comes from that is being imported. file: for modules that no name leads to."""

    origin: Origin = "project"
    source: str = ""
    file: str | None = None


_HERE = Place()
_place: ContextVar[Place] = ContextVar("place", default=_HERE)


@contextmanager
def imported_from(place: Place) -> Iterator[None]:
    """What is declared inside comes from there."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


@overload
def worker_task(name: F, /) -> F: ...


@overload
def worker_task(name: str | None = None, /, **options: Unpack[Options]) -> Callable[[F], F]: ...


def worker_task(name: F | str | None = None, /, **options: Unpack[Options]) -> F | Callable[[F], F]:
    """Makes a function an activity that workflows can run; the function itself stays as it is.

    `@worker_task("resize", timeout="30s", retries=5)`, or `@worker_task` for the function's own name. See
    `Options`. The function may be sync (it runs in a thread) or async. Its parameters are bound by name; a
    lone `task_input` gets everything. What it returns is the node's output.

    Raises UnknownOption and BadDeclaration, which are TypeErrors, and ActivityAlreadyRegistered.
    """
    if callable(name):
        return _declared(name, {})
    require_known(options)
    chosen: Options = {**options, "name": name} if name is not None else options

    def declare(function: F) -> F:
        return _declared(function, chosen)

    return declare


def _declared(function: F, options: Options) -> F:
    REGISTRY.add(activity_of(function, options))
    return function


def activity_of(function: Function, options: Options) -> Activity:
    """The activity that a function is with these options. Raises BadDeclaration."""
    if not inspect.isroutine(function):
        raise BadDeclaration(f"an activity is a function, {function!r} is none")
    name, place = name_of(options, function.__name__), _place.get()
    defaults = defaults_of(name, options)
    if defaults.isolated and "<" in function.__qualname__:
        raise BadDeclaration(
            f"activity '{name}': another process finds only functions of a module's top level"
        )
    signature = signature_of(function)
    return Activity(
        Declaration(
            name=name,
            description=options.get("description") or _first_line(function),
            origin=place.origin,
            source=place.source or function.__module__,
            input_schema=signature.schema,
            output_schema=output_schema_of(function),
            defaults=defaults,
        ),
        function,
        signature,
        place.file,
        classes_of(options.get("retry_on")),
    )


def _first_line(function: Function) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0].strip()
