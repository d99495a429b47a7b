"""Where results go: benchmarks/results/, and for a full run the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.options import Options
from benchmarks.page import page
from benchmarks.picture import picture
from benchmarks.sample import Figures
from benchmarks.targets import Verdict


def write(
    options: Options, figures: Figures, found: Sequence[Verdict], facts: Mapping[str, str]
) -> list[Path]:
    """Writes what the options ask for and returns the files. Only a full run changes the documentation."""
    if options.out is None:
        return []
    now = datetime.now(UTC)
    results = options.out / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    text = (
        json.dumps(as_json(options, figures, found, facts, now.isoformat(timespec="seconds")), indent=1)
        + "\n"
    )
    written = {results / f"{now:%Y-%m-%dT%H%M%SZ}.json": text}
    if options.is_full:
        reference = options.out / "docs" / "reference"
        written |= {
            results / "latest.json": text,
            reference / "benchmarks.svg": picture(figures),
            reference / "benchmarks.md": page(figures, found, facts, f"{now:%Y-%m-%d}"),
        }
    for path, content in written.items():
        path.write_text(content)
    return list(written)


def as_json(
    options: Options, figures: Figures, found: Sequence[Verdict], facts: Mapping[str, str], when: str
) -> dict[str, object]:
    """The results in full."""
    return {
        "when": when,
        "rounds": options.rounds,
        "processes": options.processes,
        "facts": dict(facts),
        "targets": [
            {"target": one.text, "wanted": one.wanted, "measured": one.value, "verdict": one.word}
            for one in found
        ],
        **figures.as_json(),
    }
