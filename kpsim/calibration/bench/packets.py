"""Packets and connections are timed one by one through several rule sets in turn, first ones and later ones.

Client, node and server share one core, and a packet crosses all of them in its sender's system call; so the call's time
is the packet's.  What Python adds to a call is measured, and taken off.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter, perf_counter_ns

from kpsim.calibration.bench.namespaces import Refused
from kpsim.calibration.bench.plan import Target, Walk
from kpsim.calibration.bench.town import CLIENT, TARGET_PORT, Town

BLOCK, DROPPED = 25, 5  # packets in a row to one target, the first of which find caches cold
FIRST_PORT = 20_000
FEWEST_ROUNDS, MOST_ROUNDS = 3, 60
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closed at once, and no port waits
DIRECT = ("10.128.0.1", TARGET_PORT)
MSG_PROBE, CALLS = 0x10, 3000
Samples = dict[tuple[str, Target], list[int]]  # quantity and target -> ns


@dataclass(slots=True)
class Walkers:
    """A town with a walk's rules, and sockets of a client with a source port each."""

    walk: Walk
    town: Town
    sockets: list[socket.socket]
    samples: Samples = field(default_factory=lambda: defaultdict(list))
    lost: int = 0

    @classmethod
    def of(cls, walk: Walk, town: Town) -> Walkers:
        """Return them with their sockets bound."""
        sockets = [town.client.socket(socket.SOCK_DGRAM) for _ in range(BLOCK)]
        for i, each in enumerate(sockets):
            each.bind((CLIENT, FIRST_PORT + i))
        return cls(walk, town, sockets)

    def round(self) -> None:
        """Send one block to every target, with no connection known from before."""
        self.town.node.forget_connections()
        for target in self.walk.targets:
            if target.protocol == "UDP":
                self._first(target)
            else:
                self._connect(target)
        self._later(next(target for target in self.walk.targets if target.protocol == "UDP"))

    def _first(self, target: Target) -> None:
        to, took = (target.address, target.port), []
        for each in self.sockets:
            began_ns = perf_counter_ns()
            each.sendto(b"x", to)
            took.append(perf_counter_ns() - began_ns)
        if drain(self.town.udp) < BLOCK:
            self.lost += 1
        else:
            self.samples["udp_first", target] += took[DROPPED:]

    def _later(self, target: Target) -> None:
        """One flow, whose first packets are dropped from the samples."""
        each, to, took = self.sockets[0], (target.address, target.port), []
        for _ in range(BLOCK):
            began_ns = perf_counter_ns()
            each.sendto(b"x", to)
            took.append(perf_counter_ns() - began_ns)
        drain(self.town.udp)
        self.samples["udp_established", target] += took[DROPPED:]

    def _connect(self, target: Target) -> None:
        to, took = (target.address, target.port), []
        clients = [self.town.client.socket(socket.SOCK_STREAM) for _ in range(BLOCK)]
        try:
            for each in clients:
                began_ns = perf_counter_ns()
                each.connect(to)
                took.append(perf_counter_ns() - began_ns)
            self.samples["tcp_connect", target] += took[DROPPED:]
        except OSError:
            self.lost += 1
        for each in (*clients, *_accepted(self.town.tcp)):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            each.close()

    def delivered(self) -> None:
        """Raise :class:`Refused` if one of the first rounds lost anything."""
        if self.lost:
            raise Refused("packets to its Services do not arrive")

    def close(self) -> None:
        """Let go of sockets and town."""
        for each in self.sockets:
            each.close()
        self.town.close()


def drain(receiver: socket.socket) -> int:
    """Read what has arrived and return how many packets that were."""
    for n in range(1 << 20):
        try:
            receiver.recv(16)
        except BlockingIOError:
            return n
    return 1 << 20


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            yield listener.accept()[0]
        except BlockingIOError:
            return


def rounds(walkers: list[Walkers], seconds: float) -> None:
    """Walk through all rule sets in turn for so long, on one core; samples of before are forgotten."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        for each in walkers:
            each.round()
            each.samples.clear()
        until_s = perf_counter() + seconds
        for n in range(MOST_ROUNDS):
            if n >= FEWEST_ROUNDS and perf_counter() > until_s:
                break
            for each in walkers:
                each.round()
    finally:
        os.sched_setaffinity(0, cores)


def added_by_python_ns(town: Town) -> float:
    """Return what Python adds to a call that sends, with its clock [ns].

    A probe does all that a send does but sending; without a system call's own time, what is left is Python's, and the
    kernel's look at its routes, a hundredth of a packet.
    """
    with town.client.socket(socket.SOCK_DGRAM) as sender:
        probes, calls = [], []
        for _ in range(CALLS):
            began_ns = perf_counter_ns()
            sender.sendto(b"x", MSG_PROBE, DIRECT)
            probes.append(perf_counter_ns() - began_ns)
            began_ns = perf_counter_ns()
            os.getppid()
            calls.append(perf_counter_ns() - began_ns)
            began_ns = perf_counter_ns()
            calls[-1] -= perf_counter_ns() - began_ns
    return max(statistics.median(probes) - statistics.median(calls), 0.0)
