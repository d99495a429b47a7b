"""What is known of a source that was not run."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.errors import Problem


@dataclass(frozen=True, slots=True)
class Checked:
    """problems: empty for a source that can be run. exports: the names of its functions."""

    problems: tuple[Problem, ...] = ()
    exports: tuple[str, ...] = ()
