"""docs/reference/benchmarks.md, made from the results. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.growth import KINDS, SIZES
from benchmarks.history import SIZES as HISTORY_SIZES
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.report import cell, markdown, table, verdict_table
from benchmarks.sample import OUR_FUNCTIONS, OURS, Figures
from benchmarks.shapes import SHAPES
from benchmarks.targets import Verdict

_HEAD = """\
# Benchmarks

Written by `make bench`, which anyone can run; what it does, and how to read it, is in
[benchmarks/README.md](../../benchmarks/README.md). The figures in full:
[latest.json](../../benchmarks/results/latest.json).

Only ratios within one run mean something: everybody had the same servers, the same number of worker processes
and the same graphs, in interleaved rounds, and the figures are medians of the rounds. What ran was checked
before it counted.
"""

_HOW = """\
- "Headrace" has `noop` nodes, which take no time and [run ahead](../discussions/architecture.md#run-ahead);
  "Headrace, functions" has nodes that run a user's async function, as all nodes of most peers do.
- Headrace keeps every step in PostgreSQL, with fsync and synchronous_commit on. Redis, where most peers keep
  theirs, syncs its append-only file once a second: a crash of the machine may cost them a second of work, and
  Headrace nothing.
- A hop is the time from the start of a node to the start of the next one, in a warm chain.
- Headrace's S4 runs from `rq`'s resume, which its workers look for now and then, to the end of the last run
  as a client sees it; a peer's from the moment at which its frozen processes go on, to the end of the last
  node's code. Its submission costs it nothing.
- Every node and every dependency check of Headrace is a job that RQ's own books show as finished: checked for
  every node of every run in the tables above. Runs whose buffers are counted are checked in PostgreSQL only.
- The floors in "Alone" are of the same servers in the same run: pgbench commits one row, or selects one, with
  prepared statements; redis-benchmark asks with one client. Their means are of a whole round trip.
"""


def page(figures: Figures, found: Sequence[Verdict], facts: Mapping[str, str], when: str) -> str:
    """The whole page. facts: about the machine. when: a date."""
    sections = [
        _HEAD,
        f"Measured on {when}.\n",
        "![Bars and lines of the figures below](benchmarks.svg)\n",
        "## Side by side\n",
        markdown(table(figures)) + "\n",
        "\n".join(f"- **{shape.name}**: {shape.title}" for shape in SHAPES.values()) + "\n",
        "## Targets\n",
        markdown(verdict_table(found)) + "\n",
        "## Growth\n",
        markdown(growth_table(figures)) + "\n",
        markdown(history_table(figures)) + "\n",
        _more(figures),
        "## Who ran how\n",
        markdown(peers_table(), numbers=False) + "\n",
        _HOW,
        "## The machine\n",
        markdown([["", ""], *([name, value] for name, value in facts.items())], numbers=False) + "\n",
        _wrong(figures),
    ]
    return "\n".join(section for section in sections if section)


def growth_table(figures: Figures) -> list[list[str]]:
    """Nodes/s by kind and size of one run's graph."""

    def key(kind: str, size: int) -> str:
        return f"growth {kind} {size} nodes/s"

    rows = [
        [f"{kind}{what}, nodes/s", *(cell(figures, key(kind, size), who, ",.0f") for size in SIZES)]
        for who, what in ((OURS, ""), (OUR_FUNCTIONS, " of functions"))
        for kind in KINDS
    ]
    return [["one run at a time", *(f"{size:,} nodes" for size in SIZES)], *rows]


def history_table(figures: Figures) -> list[list[str]]:
    """Nodes/s and buffers a completion by kind, size and fullness of the database."""
    columns = [
        (f"{size:,} nodes{beside}", f"{name} {{kind}} {size}")
        for size in HISTORY_SIZES
        for name, beside in (("empty", ""), ("full", " beside 1,000,000 old tasks"))
    ]
    rows = [
        [
            f"{kind}, {what}",
            *(cell(figures, f"{key.format(kind=kind)} {what}", OURS, form) for _, key in columns),
        ]
        for what, form in (("nodes/s", ",.0f"), ("buffers", ".1f"))
        for kind in KINDS
    ]
    return [["in a database of its own", *(title for title, _ in columns)], *rows]


def _more(figures: Figures) -> str:
    """Lines about what has no peer."""
    lines = [
        ("S5, 50 calls of 200 ms, 2 processes", "S5 seconds", OURS, ".3f", "s"),
        ("S4 from the first node's start", "S4 nodes/s from the first start", OURS, ",.0f", "nodes/s"),
        ("starts inside the process", "S4 starts/s", OURS, ",.0f", "/s"),
        ("starts through HTTP, 16 clients", "starts 16 clients/s", OURS, ",.0f", "/s"),
        ("one client's start, p50", "starts one client p50 ms", OURS, ".2f", "ms"),
        ("a one-row commit through asyncpg, p50", "floor commit p50 ms", "PostgreSQL", ".3f", "ms"),
        ("a select through asyncpg, p50", "floor select p50 ms", "PostgreSQL", ".3f", "ms"),
        ("a Redis PING through redis-py, p50", "floor ping p50 ms", "Redis", ".3f", "ms"),
        ("an fdatasync, p50", "floor fdatasync p50 ms", "disk", ".3f", "ms"),
        ("Redis with idle workers", "memory Redis idle MB", "Redis", ".2f", "MB"),
        ("Redis after S4", "memory Redis loaded MB", "Redis", ".2f", "MB"),
        ("Redis after the results' time to live", "memory Redis after MB", "Redis", ".2f", "MB"),
    ]
    rows = [[text, f"{cell(figures, key, who, form)} {unit}"] for text, key, who, form, unit in lines]
    rows += [[one.title, f"mean {one.mean_ms:.3f} ms, {one.rate:,.0f} /s"] for one in figures.floors]
    return "## Alone\n\n" + markdown([["", "median"], *rows]) + "\n"


def peers_table() -> list[list[str]]:
    """How each was set up, and what it could not declare."""
    ours = [OURS, "PostgreSQL", "default settings", "", "all"]
    rows = [[peer.name, peer.keeps, peer.settings, ", ".join(peer.by_hand), _share(peer)] for peer in PEERS]
    head = ["", "keeps each step in", "settings", "walked by code of ours", "of the runs of S0 and S4"]
    return [head, ours, *rows]


def _share(peer: Peer) -> str:
    return "all" if peer.divide == 1 else f"1/{peer.divide}"


def _wrong(figures: Figures) -> str:
    lines = [f"- {who}, {what}: WRONG, not counted: {why}" for (what, who), why in figures.wrong.items()]
    lines += [f"- {who}: {why}" for who, why in figures.notes.items()]
    return "## What does not count\n\n" + "\n".join(lines) + "\n" if lines else ""
