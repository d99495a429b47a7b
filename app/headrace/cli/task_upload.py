"""Files of activities on their way to the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.cli.answers import read
from headrace.cli.client import Client
from headrace.cli.errors import Refused, show_problem
from headrace.cli.output import complain, say
from headrace.cli.task_answers import Activities, Activity, Uploaded
from headrace.cli.task_files import TaskFile
from headrace.graph.json_types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of all files.

    entry: the function to call, None for the obvious one. is_forced: also what is active already is sent.
    """

    project: str
    entry: str | None = None
    activates: bool = True
    is_forced: bool = False


def send(client: Client, files: Sequence[TaskFile], wish: Wish, is_quiet: bool) -> list[JsonObject]:
    """Keeps the sources of these files; what became of each, with `error` where it was refused."""
    known = {} if wish.is_forced else activities(client, wish.project)
    uploads = [_Upload(client, file, wish) for file in files]
    return [one.send(known.get(one.name), is_quiet) for one in uploads]


def activities(client: Client, project: str) -> dict[str, Activity]:
    """The activities that the API knows of a project, by name."""
    return {one.name: one for one in read(Activities, client.get("/activities", {"project": project})).items}


class _Upload:
    """One file on its way to the API."""

    def __init__(self, client: Client, file: TaskFile, wish: Wish) -> None:
        self._client, self._file, self._wish = client, file, wish

    @property
    def name(self) -> str:
        """The activity's."""
        return self._file.name

    def send(self, known: Activity | None, is_quiet: bool) -> JsonObject:
        """What became of it. known: the activity as it is; what is active already is not sent."""
        name = self.name
        if known is not None and self._file.is_active_in(known, self._wish.entry):
            if not is_quiet:
                say(f"Task {name} is up to date")
            return {"name": name, "hash": known.active.hash if known.active else None, "isNew": False}
        try:
            answer = self._client.put(f"/activities/{name}?project={self._wish.project}", self._body())
        except Refused as error:
            complain("\n".join([f"✗ {name}: {error.message}", *map(show_problem, error.problems)]))
            return {"name": name, "error": error.message}
        done = read(Uploaded, answer)
        if not is_quiet:
            say(f"✓ Uploaded task: {name} ({done.hash[:12]})")
        return {"name": name, "hash": done.hash, "isNew": done.is_new}

    def _body(self) -> JsonObject:
        wish = self._wish
        entry: dict[str, JsonValue] = {} if wish.entry is None else {"entry": wish.entry}
        return {
            "language": self._file.language,
            "source": self._file.source,
            "activate": wish.activates,
            **entry,
        }
