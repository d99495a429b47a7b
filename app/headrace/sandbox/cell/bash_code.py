"""Runs bash, in no sandbox: it needs to start other programs, which the walls forbid."""

from __future__ import annotations

import json
import os
from typing import NoReturn

from .wire import Request

_PATH = "/usr/local/bin:/usr/bin:/bin"


def run(request: Request) -> NoReturn:
    """Becomes bash. The input is its standard input, as JSON; what it writes is its answer."""
    folder = os.getcwd()
    with open(".input.json", "w+", encoding="utf-8") as file:
        json.dump(request["input"], file)
    os.dup2(os.open(".input.json", os.O_RDONLY), 0)
    os.unlink(".input.json")
    options = ["bash", "--noprofile", "--norc", "-c", request["source"]]
    os.execvpe("bash", options, {"PATH": _PATH, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"})


def check(_: Request) -> list[str]:
    """bash says what is wrong when it comes to it."""
    return []
