"""What validation asks of node types, answered by the real ones."""

from __future__ import annotations

from headrace.engine.program import Rules
from headrace.nodes.builtin import builtin

RULES = Rules(builtin())
