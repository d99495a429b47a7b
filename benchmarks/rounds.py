"""The interleaved rounds: in each, everybody runs every shape, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks import servers
from benchmarks.options import Options
from benchmarks.ours.client import client
from benchmarks.ours.fleet import Fleet, fleet
from benchmarks.ours.run import NODES, measure
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.environments import NotInstalled
from benchmarks.peers.session import PeerFailed, Setting, session
from benchmarks.processes import TooSlow, peak_mb, resident_mb, say
from benchmarks.sample import OURS, Figures, Sample
from benchmarks.servers import Servers
from benchmarks.shapes import NOOP, S4, SHAPES, Shape, smaller

_QUICK_DIVISOR = 3


async def run_rounds(options: Options, where: Servers, figures: Figures) -> None:
    """Adds everybody's figures of every round."""
    shapes = [_sized(shape, options) for shape in SHAPES.values() if options.wants(shape.name)]
    peers = _prepared(options, figures) if shapes else []
    for number in range(options.rounds if shapes else 0):
        say(f"round {number + 1} of {options.rounds}")
        if OURS in options.peers:
            await _our_round(options, where, shapes, figures)
        for peer in peers:
            await _peer_round(peer, options, where, shapes, figures)


def _sized(shape: Shape, options: Options) -> Shape:
    return smaller(shape, _QUICK_DIVISOR) if options.quick and shape.runs > 1 else shape


def _prepared(options: Options, figures: Figures) -> list[Peer]:
    ready = []
    for peer in (peer for peer in PEERS if peer.name in options.peers):
        try:
            peer.environment.prepare()
        except NotInstalled as error:
            figures.note(peer.name, f"skipped: {error}")
        else:
            ready.append(peer)
    return ready


async def _our_round(options: Options, where: Servers, shapes: Sequence[Shape], figures: Figures) -> None:
    url = await where.new_database()
    async with (
        client(url, where.redis(servers.OURS_IN_REDIS)) as ours,
        fleet(ours, where.folder) as workers,
    ):
        await workers.start(options.processes)
        idle = [resident_mb(pid) for pid in workers.processes.pids]
        figures.add("memory idle MB", OURS, max(idle))
        for who in NODES:
            for shape in shapes:
                if shape.name != NOOP:
                    await _our_shape(who, workers, shape, figures)


async def _our_shape(who: str, workers: Fleet, shape: Shape, figures: Figures) -> None:
    try:
        sample, course = await measure(workers, shape, who)
    except TooSlow as error:
        _take(Sample(who, shape.name, shape.nodes, 0, wrong=str(error)), figures)
        return
    _take(sample, figures)
    if shape.name == S4 and who == OURS and not sample.wrong:
        figures.add("S4 nodes/s from the first start", OURS, shape.nodes / course.busy_seconds)
        figures.add("S4 starts/s", OURS, shape.runs / course.start_seconds)
        figures.add("memory after S4 MB", OURS, max(map(peak_mb, workers.processes.pids)))


async def _peer_round(
    peer: Peer, options: Options, where: Servers, shapes: Sequence[Shape], figures: Figures
) -> None:
    wanted = [shape for shape in shapes if shape.name in peer.shapes]
    if not wanted:
        return
    database_url = await where.new_database(migrated=False) if peer.needs_database else ""
    setting = Setting(where.redis(peer.database), options.processes, where.folder, database_url)
    with session(peer, setting) as running:
        for shape in wanted:
            try:
                _take(running.measure(shape), figures)
            except PeerFailed as error:
                _take(Sample(peer.name, shape.name, shape.nodes, 0, wrong=str(error)), figures)
                return


def _take(sample: Sample, figures: Figures) -> None:
    figures.take(sample)
    if sample.wrong:
        say(f"  {sample.who:19} {sample.shape}  WRONG: {sample.wrong}")
        return
    hop = f"  hop p50 {median(sample.hops):6.2f} ms" if sample.hops else ""
    rate = sample.nodes / sample.seconds
    say(f"  {sample.who:19} {sample.shape}  {sample.seconds:8.3f} s  {rate:8.0f} nodes/s{hop}")
