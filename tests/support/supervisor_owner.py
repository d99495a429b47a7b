"""A supervisor of three workers, to be killed by tests: `supervisor_owner.py CODE ARGUMENTS...`."""

from __future__ import annotations

import os
import sys

from headrace.local.child import Terms
from headrace.local.supervisor import Supervisor


def main(code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", code, *arguments]
    with Supervisor(command, os.environ, lambda: 3, lambda _death: None, Terms(grace=0.5)):
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
