"""What `python -m benchmarks` was asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.catalogue import PEERS
from benchmarks.processes import ROOT
from benchmarks.sample import OURS
from benchmarks.shapes import SHAPES

PARTS = {
    **{shape.name: shape.title for shape in SHAPES.values()},
    "S5": "1 to 50 HTTP calls of 200 ms to 1, 2 processes",
    "starts": "starts through HTTP",
    "growth": "graphs of 10 to 10,000 nodes, and 1,000,000 old tasks",
    "memory": "resident memory of workers, and Redis after the results' time to live",
}


@dataclass(frozen=True)
class Options:
    """only: parts to run. peers: names, ours too. out: the checkout to write in; None writes nothing."""

    rounds: int
    processes: int
    only: frozenset[str]
    peers: frozenset[str]
    quick: bool
    out: Path | None

    @property
    def is_full(self) -> bool:
        """Whether everything is run as the documentation shows it."""
        everybody = {OURS, *(peer.name for peer in PEERS)}
        return not self.quick and self.only == set(PARTS) and self.peers == everybody

    def wants(self, part: str) -> bool:
        return part in self.only


def parse(arguments: Sequence[str]) -> Options:
    """Ends the program with a message when the arguments make no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    only = _chosen(parser, given.only, PARTS)
    names = {name.lower().replace(" ", "-"): name for name in (OURS, *(peer.name for peer in PEERS))}
    peers = {names[name] for name in _chosen(parser, given.peers, names)}
    return Options(
        rounds=given.rounds or (1 if given.quick else 3),
        processes=given.processes,
        only=frozenset(only),
        peers=frozenset(peers),
        quick=given.quick,
        out=None if given.no_write else given.out,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, help="interleaved rounds (3; with --quick 1)")
    parser.add_argument("--processes", type=int, default=3, help="worker processes of everybody (3)")
    parser.add_argument("--only", help=f"parts, comma separated: {', '.join(PARTS)} (all)")
    parser.add_argument("--peers", help="names, comma separated, such as headrace,celery,bullmq (all)")
    parser.add_argument("--quick", action="store_true", help="one round, small graphs, no waiting: 2 minutes")
    parser.add_argument(
        "--out", type=Path, default=ROOT, help="the checkout whose results and docs are written"
    )
    parser.add_argument("--no-write", action="store_true", help="print only")
    return parser


def _chosen(
    parser: argparse.ArgumentParser, given: str | None, known: Sequence[str] | dict[str, str]
) -> list[str]:
    chosen = list(known) if given is None else given.split(",")
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return chosen
