"""Names of projects. A project exists once it is named."""

from __future__ import annotations

import re
from typing import Final

from headrace.errors import InvalidInput, Problem

DEFAULT_PROJECT: Final = "default"

EVERY_PROJECT: Final = "*"
"""Stands among the projects of a worker that takes the jobs of all."""

PROJECT_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"

PROJECT_RULE: Final = "lower-case letters, digits and '-', at most 63, first a letter or a digit"


def is_project(name: str) -> bool:
    """Whether a project may be called so: its name is part of a queue's name, and stands in lists."""
    return re.fullmatch(PROJECT_PATTERN, name) is not None and not name.endswith("\n")


def require_project(name: str) -> str:
    """The name, if a project may be called so; raises InvalidInput."""
    if not is_project(name):
        problem = Problem("project", f"'{name}' is no name of a project", PROJECT_RULE)
        raise InvalidInput("The project's name is not valid", [problem])
    return name
