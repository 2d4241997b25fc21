"""Connections: when each opens, from which node, to which service port, drawn before any engine starts.

All packets of all nodes for all time are out of reach for a large cluster, so packets are simulated in *windows*: a few
nodes, a few stretches of time, chosen without looking at the outcome, so that what is seen there is unbiased.  A small
cluster is simulated whole.  Arrivals are Poisson on every node; the endpoint draw and the cost draws travel with the
connection, so every mode and both engines see the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kpsim.cluster.changes import NOWHERE, Spells
from kpsim.cluster.columns import Cluster
from kpsim.rng import stream
from kpsim.traffic.params import TrafficParams
from kpsim.units import F64, I64, U32, Bools, to_ns

WINDOWS = 10  # stretches of time looked at when not everything can be
SHORTEST_LIVES = 10  # a window is at least so many connection lifetimes long, so that its lead-in is a tenth
SHORTEST_S = 0.1
GUIDE = 1 << 16  # a power of two, so that no product with it is rounded
COLUMNS = ("node", "window", "arrival_ns", "port", "core", "draw", "turn", "cost_draw")


@dataclass(frozen=True, slots=True)
class Windows:
    """The nodes (m,) and stretches of time (w,), each ``length_ns``, whose packets are simulated."""

    nodes: I64
    starts_ns: I64
    length_ns: int
    lead_ns: int  # connections opened this long before a window are simulated too, and not recorded
    whole: bool  # all nodes, all the measured time

    @property
    def node_seconds(self) -> float:
        """Observed time, over all nodes [s]."""
        return len(self.nodes) * len(self.starts_ns) * self.length_ns / 1e9


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections in order of (node, window, arrival), (c,) each."""

    node: I64  # index into Windows.nodes
    window: I64
    arrival_ns: I64
    port: I64  # service port
    core: I64  # receive queue the flow hashes to
    draw: I64  # 32 bits for the choice of endpoint
    turn: I64  # how many connections this node opened to this service port before, from a random start
    cost_draw: U32  # (c, packets) 32 bits for the cost of each packet
    packets: int
    interval_ns: int

    def __len__(self) -> int:
        return len(self.arrival_ns)

    def blocks(self, packets: int, nodes: int = 1 << 62) -> Iterator[Connections]:
        """Return the same connections in pieces of whole nodes, as :func:`in_blocks` says."""
        bounds = [0, *(np.flatnonzero(np.diff(self.node)) + 1).tolist(), len(self)]
        return in_blocks((self.take(slice(lo, hi)) for lo, hi in pairwise(bounds)), packets, nodes)

    @staticmethod
    def joined(parts: Sequence[Connections]) -> Connections:
        """Return one or more pieces as one."""
        if len(parts) == 1:
            return parts[0]
        rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
        return Connections(**rows, packets=parts[0].packets, interval_ns=parts[0].interval_ns)

    def take(self, which: slice | Bools) -> Connections:
        """Some of the connections, in the same order."""
        rows = {name: getattr(self, name)[which] for name in COLUMNS}
        return Connections(**rows, packets=self.packets, interval_ns=self.interval_ns)


def in_blocks(each: Iterable[Connections], packets: int, nodes: int = 1 << 62) -> Iterator[Connections]:
    """Yield the connections of ``each`` node in pieces of about ``packets`` packets and at most ``nodes`` nodes.

    At least one piece.
    """
    held: list[Connections] = []
    empty: list[Connections] = []
    count, some = 0, False  # connections held; there are any at all
    for part in each:
        if not len(part):
            empty = empty or [part]
            continue
        if held and int(part.node[0]) - int(held[0].node[0]) >= nodes:
            yield Connections.joined(held)
            held, count = [], 0
        held.append(part)
        count, some = count + len(part), True
        if count * part.packets >= packets:
            yield Connections.joined(held)
            held, count = [], 0
    if held or not some:
        yield Connections.joined(held or empty)


@dataclass(frozen=True, slots=True)
class Popularity:
    """The distribution of connections over service ports: ``ports`` (p,), cumulative probability ``share`` (p,)."""

    ports: I64
    share: F64
    guide: I64  # where in ``share`` to begin looking for 0, 1 / GUIDE, 2 / GUIDE, …

    @staticmethod
    def zipf(cluster: Cluster, exponent: float, rng: np.random.Generator) -> Popularity:
        """The k-th most popular of the service ports at time zero has weight k^-exponent; which is k-th is random."""
        service = cluster.port_service
        ports = np.flatnonzero((service < cluster.initial) & cluster.services.proxied[service])
        weight = np.arange(1, len(ports) + 1, dtype=np.float64) ** -exponent
        share = np.cumsum(weight) / weight.sum() if len(ports) else weight
        guide = np.searchsorted(share, np.arange(GUIDE) / GUIDE, side="right")
        return Popularity(rng.permutation(ports), share, guide)

    def draw(self, rng: np.random.Generator, n: int) -> I64:
        """Return ``n`` service ports, (n,)."""
        drawn, most = rng.random(n), len(self.ports) - 1
        at = np.minimum(self.guide[(drawn * GUIDE).astype(np.int64)], most)
        behind = np.flatnonzero(self.share[at] <= drawn)  # few: the guide begins at or just before the right place
        at[behind] = np.searchsorted(self.share, drawn[behind], side="right")
        return self.ports[np.minimum(at, most)]


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of what is simulated of the packets, before anything of it is made: all nodes and time, or some."""

    nodes: int
    windows: int
    length_s: float  # of each window
    lead_s: float  # before each
    whole: bool

    def connections(self, per_s: float) -> float:
        """Return the expected number of connections, if each node opens ``per_s`` a second."""
        return per_s * self.nodes * self.windows * (self.length_s + self.lead_s)


def extent(params: TrafficParams, nodes: int, duration_s: float, warmup_s: float, budget: float) -> Extent:
    """Return how much of the measured time, and of how many nodes, ``budget`` packets allow."""
    life_s = params.life_s
    measured_s = duration_s - warmup_s
    rate = params.connections_per_s_per_node * params.packets_per_connection
    lead_s = min(life_s, warmup_s)
    if rate * nodes * measured_s <= budget or not rate:
        return Extent(nodes, 1, measured_s, lead_s, whole=True)
    shortest_s = min(max(SHORTEST_LIVES * life_s, SHORTEST_S), measured_s / WINDOWS)
    sampled = int(np.clip(budget / (rate * WINDOWS * (shortest_s + life_s)), 1, nodes))
    length_s = min(budget / (rate * WINDOWS * sampled) - life_s, measured_s / WINDOWS)
    length_s = max(length_s, budget / (rate * WINDOWS * sampled) / 2)
    return Extent(sampled, WINDOWS, length_s, lead_s, whole=False)


def plan_windows(
    params: TrafficParams, nodes: int, duration_s: float, warmup_s: float, budget: int, rng: np.random.Generator
) -> Windows:
    """As much of the measured time on as many nodes as ``budget`` packets allow; everything, if they suffice."""
    seen = extent(params, nodes, duration_s, warmup_s, budget)
    lead, length_s, measured_s = to_ns(seen.lead_s), seen.length_s, duration_s - warmup_s
    if seen.whole:
        return Windows(np.arange(nodes), np.array([to_ns(warmup_s)]), to_ns(measured_s), lead, whole=True)
    stride = measured_s / WINDOWS
    starts = warmup_s + stride * (np.arange(WINDOWS) + rng.random()) - length_s / 2
    starts = np.clip(starts, warmup_s, duration_s - length_s)
    chosen = np.sort(rng.permutation(nodes)[: seen.nodes])
    return Windows(chosen, np.rint(starts * 1e9).astype(np.int64), to_ns(length_s), lead, whole=False)


@dataclass(frozen=True, slots=True)
class ConnectionDraws:
    """All connections of one replication, drawn when they are asked for; each node has a stream of its own.

    Those of nodes that are ``lost`` are not opened, and left out.
    """

    params: TrafficParams
    cores: int
    windows: Windows
    popularity: Popularity
    key: tuple[int, int]  # seed and number of the replication
    lost: Spells = NOWHERE

    def whole(self) -> Connections:
        """Return the connections of all nodes at once."""
        return Connections.joined(list(self._each()))

    def blocks(self, packets: int, nodes: int = 1 << 62) -> Iterator[Connections]:
        """Return the same connections in pieces of whole nodes, as :func:`in_blocks` says."""
        return in_blocks(self._each(), packets, nodes)

    def expected_packets(self) -> float:
        """Return about how many packets a node has, of those that have any."""
        windows = self.windows
        open_s = (windows.length_ns + windows.lead_ns) * len(windows.starts_ns) / 1e9
        return self._rate * open_s * self.params.packets_per_connection

    def most_packets(self) -> int:
        """Return more packets than any node has: the mean and twelve standard deviations of a Poisson count."""
        mean = self.expected_packets() / self.params.packets_per_connection
        return math.ceil(mean + 12 * math.sqrt(mean) + 50) * self.params.packets_per_connection

    @property
    def _rate(self) -> float:
        return self.params.connections_per_s_per_node if len(self.popularity.ports) else 0.0

    def _each(self) -> Iterator[Connections]:
        for m in range(len(self.windows.nodes)):
            drawn = self._of(m)
            if len(self.lost):
                node = self.windows.nodes[drawn.node]
                drawn = drawn.take(~self.lost.cover(node, drawn.arrival_ns))
            yield drawn

    def _of(self, m: int) -> Connections:
        windows, packets = self.windows, self.params.packets_per_connection
        seed, replication = self.key
        rng = stream(seed, "connections", replication, int(windows.nodes[m]))
        length = windows.length_ns + windows.lead_ns
        counts = rng.poisson(self._rate * length / 1e9, len(windows.starts_ns))
        n = int(counts.sum())
        window = np.repeat(np.arange(len(counts)), counts)
        arrival = windows.starts_ns[window] - windows.lead_ns + rng.integers(0, max(length, 1), n)
        for lo, hi in pairwise(np.concatenate([[0], np.cumsum(counts)]).tolist()):
            arrival[lo:hi].sort()
        port = self.popularity.draw(rng, n)
        return Connections(
            node=np.full(n, m),
            window=window,
            arrival_ns=arrival,
            port=port,
            core=rng.integers(0, self.cores, n),
            draw=rng.integers(0, 1 << 32, n, dtype=np.uint32).astype(np.int64),
            turn=_turns(port) + rng.integers(0, 1 << 31) + port * 7919,
            cost_draw=rng.integers(0, 1 << 32, (n, packets), dtype=np.uint32),
            packets=packets,
            interval_ns=to_ns(self.params.packet_interval_s),
        )


def _turns(port: I64) -> I64:
    """Return how often each connection's port occurred before it, (n,)."""
    few = port.max(initial=0) < 1 << 16  # to sort without comparing
    order = np.argsort(port.astype(np.uint16) if few else port, kind="stable")
    ranked = port[order]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]]) if len(port) else np.zeros(0, np.bool_)
    begin = np.maximum.accumulate(np.where(first, np.arange(len(port)), 0))
    turns = np.empty(len(port), np.int64)
    turns[order] = np.arange(len(port)) - begin
    return turns
