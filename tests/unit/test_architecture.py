"""The house stands: imports go down only, and every file can be read in one sitting."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
"""Lines."""

_LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_every_import_contract_is_kept() -> None:
    config = ROOT / "pyproject.toml"
    contracts = tomllib.loads(config.read_text())["tool"]["importlinter"]["contracts"]
    lint = subprocess.run(
        [sys.executable, "-c", _LINT, "--no-cache", "--config", config],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
    assert f"Contracts: {len(contracts)} kept, 0 broken." in lint.stdout


def test_no_file_is_too_long() -> None:
    files = [path for folder in ("app", "worker") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}
    assert "app/headrace/graph/plan.py" in lengths
