"""A process that owns one child, to be killed by tests: `python child_owner.py mild|stubborn`.

The child prints its pid once it is ready; a stubborn one ignores SIGTERM.
"""

from __future__ import annotations

import os
import sys

from headrace.local.child import Child, Terms

READY = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def main(kind: str) -> None:
    code = f"{STUBBORN}; {READY}" if kind == "stubborn" else READY
    # Kept in a variable: the leash is held as long as this process lives.
    child = Child([sys.executable, "-c", code], os.environ, Terms(grace=1))
    child.wait()


if __name__ == "__main__":
    main(sys.argv[1])
