"""How a nursery buries its cells."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, for it waits for any child there is.
BURIAL = """
import os, sys
sys.path[:0] = {path!r}
from headrace.sandbox.cell.nursery import reap_one

pid = os.fork()
if pid == 0:
    os._exit(7)
os.killpg = lambda group, _: print("killed", group == pid, os.path.exists(f"/proc/{{pid}}"))
reaped, status = reap_one(0)
print("reaped", reaped == pid, os.waitstatus_to_exitcode(status), os.path.exists(f"/proc/{{pid}}"))
"""


def test_a_group_is_killed_while_its_number_is_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BURIAL.format(path=sys.path)], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("killed True True\nreaped True 7 False\n", "")
