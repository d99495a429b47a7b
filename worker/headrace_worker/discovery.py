"""Finds users' activities by importing their modules: nobody reads source text, nobody guesses.

Origins, in order: built-in; packages, by their entry points of the group `headrace.tasks`; the project, by
the modules and folders of the settings. What cannot be imported is told and hides nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from traceback import format_exception

from headrace.activities.declare import Place, imported_from
from headrace.activities.loading import load_file
from headrace.activities.registry import REGISTRY
from headrace.errors import InvalidSettings
from headrace.graph.json_types import JsonObject
from headrace.log import Log

GROUP = "headrace.tasks"
"""The group of entry points by which installed packages bring activities."""

_SKIPPED = ("_", ".", "test_", "conftest")

_log = Log("headrace.worker")


@dataclass(frozen=True, slots=True)
class LoadProblem:
    """A module that could not be loaded. hint: what would help, or ''."""

    module: str
    origin: str
    message: str
    hint: str = ""

    def as_json(self) -> JsonObject:
        return {"module": self.module, "origin": self.origin, "message": self.message, "hint": self.hint}


def discover(modules: Sequence[str] = (), folders: Sequence[Path] = ()) -> list[LoadProblem]:
    """Imports all that may declare activities; returns what could not be imported.

    modules: names. folders: each is put on the import path, and its files are imported, those below it too;
    not those that begin with `_`, `.` or `test_`. The current folder is the last on that path: nothing in it
    takes the place of a module that Headrace itself needs.
    """
    if (modules or folders) and "" not in sys.path:
        sys.path.append("")
    loads = [*_packages(), *_modules(modules)]
    for folder in folders:
        loads += _files(folder.resolve())
    return [problem for load in loads if (problem := _attempt(load)) is not None]


def offer_only(names: Sequence[str]) -> None:
    """Forgets all activities but these; without names, none. Tasks of the others are for other processes.

    Raises InvalidSettings when one of them was not found: nobody would ever run it.
    """
    known = [one.name for one in REGISTRY]
    if unknown := [name for name in names if name not in known]:
        there = f"no activity {', '.join(unknown)} was found here; there are {', '.join(known)}"
        raise InvalidSettings(f"HEADRACE_ACTIVITIES: {there}")
    for name in known if names else ():
        if name not in names:
            REGISTRY.forget(name)


@dataclass(frozen=True, slots=True)
class _Load:
    """One module to import. package: what to install for it if a module is missing."""

    module: str
    place: Place
    run: Callable[[], object]
    package: str = ""


def _packages() -> Iterator[_Load]:
    for point in sorted(entry_points(group=GROUP), key=lambda one: (one.module, one.name)):
        package = point.dist.name if point.dist is not None else point.module
        yield _Load(point.value, Place("package", package), partial(_load, point), package)


def _load(point: EntryPoint) -> object:
    """An entry point names a module, or a function in one that imports more."""
    found = point.load()
    return found() if point.attr and callable(found) and not _is_declared(found) else found


def _is_declared(found: object) -> bool:
    return any(one.function is found for one in REGISTRY)


def _modules(names: Sequence[str]) -> Iterator[_Load]:
    for name in names:
        yield _Load(name, Place("project", name), partial(import_module, name))


def _files(folder: Path) -> Iterator[_Load]:
    if not folder.is_dir():
        yield _Load(str(folder), Place("project", str(folder)), partial(_no_folder, folder))
        return
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        if not any(part.startswith(_SKIPPED) for part in parts):
            yield _file(folder, file, ".".join(parts))


def _no_folder(folder: Path) -> None:
    raise FileNotFoundError(f"there is no folder {folder}")


def _file(folder: Path, file: Path, name: str) -> _Load:
    """By its name, if that leads to this file; else under a name of its own."""
    source = str(file.relative_to(folder.parent))
    if _leads_to(name, file):
        return _Load(source, Place("project", source), partial(import_module, name))
    own = f"{name.replace('.', '_')}_{sha256(bytes(folder)).hexdigest()[:8]}"
    return _Load(source, Place("project", source, str(file)), partial(load_file, own, str(file)))


def _leads_to(name: str, file: Path) -> bool:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file


def _attempt(load: _Load) -> LoadProblem | None:
    try:
        with imported_from(load.place):
            load.run()
    except (Exception, SystemExit) as error:
        problem = _problem(load, error)
        _log.debug("tasks_not_loaded", "".join(format_exception(error)), tasks=load.module)
        _log.warning("tasks_not_loaded", f"{problem.message}. {problem.hint}".rstrip(" ."), tasks=load.module)
        return problem
    return None


def _problem(load: _Load, error: BaseException) -> LoadProblem:
    if isinstance(error, ModuleNotFoundError) and error.name and error.name != load.module:
        missing = error.name.partition(".")[0]
        what = f"reinstall {load.package} with its dependencies" if load.package else f"pip install {missing}"
        message = f"{load.module}: the module '{error.name}' is missing"
        return LoadProblem(load.module, load.place.origin, message, f"install it: {what}")
    message = f"{load.module}: {type(error).__name__}: {error}"
    return LoadProblem(load.module, load.place.origin, message)
