"""Files that hold the source of an activity: the file's name is the activity's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.cli.documents import text_of
from headrace.cli.errors import WrongUse
from headrace.cli.task_answers import Activity
from headrace.engine.activities import hash_of

_LANGUAGES = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript"}


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file with a source."""

    path: Path
    source: str

    @property
    def name(self) -> str:
        """The activity's."""
        return self.path.stem

    @property
    def language(self) -> str:
        return _LANGUAGES[self.path.suffix]

    def is_active_in(self, known: Activity, entry: str | None = None) -> bool:
        """Whether new runs use this very source. entry: the function to call; None: whichever it is."""
        active = known.active
        return active is not None and active.hash == hash_of(
            self.language, entry or active.entry, self.source
        )


def found_in(folder: Path) -> dict[str, TaskFile]:
    """The files of a folder by the names of their activities; what begins with `_` or `.` is none.

    Raises WrongUse when two have one name.
    """
    found: dict[str, TaskFile] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in _LANGUAGES or path.name.startswith(("_", ".")):
            continue
        if path.stem in found:
            raise WrongUse(f"{found[path.stem].path} and {path} have one name")
        found[path.stem] = TaskFile(path, text_of(path))
    return found


def named(name: str, folder: Path) -> TaskFile:
    """The file that a name or a path says. Raises WrongUse."""
    path = Path(name)
    if path.suffix in _LANGUAGES:
        return TaskFile(path, text_of(path))
    found = found_in(folder)
    if name not in found:
        raise WrongUse(f"There is no task file {folder / name}.py or .js")
    return found[name]
