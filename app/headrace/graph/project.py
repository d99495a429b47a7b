"""Names of projects. A project exists once it is named."""

from __future__ import annotations

import re
from typing import Final

DEFAULT_PROJECT: Final = "default"

PROJECT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def is_project(name: str) -> bool:
    """Whether a project may be called so: its name is part of a queue's name, and stands in lists."""
    return re.fullmatch(PROJECT_PATTERN, name) is not None and not name.endswith("\n")
