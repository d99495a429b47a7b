"""The examples of the guide are tests that pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.project import ROOT, read


def test_every_example_of_the_guide_passes(tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```", read("docs/howto/test-your-workflows.md"), re.MULTILINE | re.DOTALL
    )
    file = tmp_path / "test_payment.py"
    file.write_text("\n\n".join(blocks))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-q", str(file)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{file.read_text().count('def test_')} passed" in done.stdout
