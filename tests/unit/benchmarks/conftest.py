"""The package `benchmarks` is no part of the installed ones: it runs from the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))
