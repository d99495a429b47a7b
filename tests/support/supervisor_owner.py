"""A supervisor of three workers, to be killed by tests: `supervisor_owner.py CODE ARGUMENTS...`."""

from __future__ import annotations

import os
import sys

from headrace.local.child import Terms
from headrace.local.places import Wish
from headrace.local.supervisor import Supervisor, WorkerDeath, WorkerStart


class Three:
    """Wants three workers."""

    def wanted(self) -> dict[str, Wish]:
        return {"default": Wish(3)}

    def greet(self, start: WorkerStart) -> None:
        """Nobody listens."""

    def bury(self, death: WorkerDeath) -> None:
        """Nobody listens."""


def main(code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", code, *arguments]
    with Supervisor(command, os.environ, Three(), Terms(grace=0.5)):
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
