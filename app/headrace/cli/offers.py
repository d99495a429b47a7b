"""What workers that are started here would offer: another process imports users' modules, and says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from headrace.activities.declaration import Declaration
from headrace.cli.errors import WrongUse
from headrace.cli.output import complain
from headrace.graph.json_types import JsonObject, JsonValue

_COMMAND = (sys.executable, "-P", "-m", "headrace_worker.offer")
_INSTALL = "install it: "


class LoadProblem(BaseModel):
    """A module that could not be imported. hint: what would help, or ''."""

    model_config = ConfigDict(frozen=True)

    module: str
    message: str
    hint: str = ""

    @property
    def text(self) -> str:
        """As people read it."""
        lines = [f"✗ Failed to load worker {self.message}"]
        if self.hint:
            install = self.hint.startswith(_INSTALL)
            lines.append(
                f"  Install with: {self.hint.removeprefix(_INSTALL)}" if install else f"  {self.hint}"
            )
        return "\n".join(lines)


class Offers(BaseModel):
    """activities: their declarations, by name."""

    model_config = ConfigDict(frozen=True)

    activities: list[JsonValue]
    problems: list[LoadProblem]

    def declarations(self) -> dict[str, Declaration]:
        """By name."""
        found = [Declaration.from_json(one) for one in self.activities if isinstance(one, dict)]
        return {one.name: one for one in found}

    def complain(self) -> None:
        """Says on stderr what could not be loaded."""
        for problem in self.problems:
            complain(problem.text)

    def require(self, names: Sequence[str]) -> None:
        """Raises WrongUse when one of these activities is not offered: nobody would run its tasks."""
        known = self.declarations()
        if missing := [name for name in names if name not in known]:
            there = ", ".join(known)
            raise WrongUse(f"No worker {', '.join(missing)} was found; there are {there}")


def offers(tasks: Sequence[Path] = ()) -> Offers:
    """What the settings lead to. tasks: folders instead of those of the settings. Raises WrongUse."""
    answer = subprocess.run(
        _COMMAND, env=with_tasks(tasks), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if answer.returncode != 0:
        raise WrongUse("The workers of this folder could not be looked at; what went wrong is told above")
    found: JsonObject = json.loads(answer.stdout)
    return Offers.model_validate(found)


def with_tasks(tasks: Sequence[Path]) -> dict[str, str]:
    """This environment, with other folders of tasks if there are any."""
    return {**os.environ, **({"HEADRACE_TASKS": ",".join(map(str, tasks))} if tasks else {})}
