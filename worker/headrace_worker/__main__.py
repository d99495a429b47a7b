"""`python -m headrace_worker`: one worker process."""

from __future__ import annotations

import sys

from headrace.errors import InvalidSettings
from headrace_worker.main import run

if __name__ == "__main__":
    try:
        run()
    except InvalidSettings as error:
        sys.exit(f"headrace worker: {error}")
