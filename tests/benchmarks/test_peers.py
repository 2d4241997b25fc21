"""Other simulators beside kpsim on one queue: exponential arrivals and service, half busy, the same mean sojourn.

``make bench-peers`` installs them first (the extra ``peers``); what is not installed skips.  SimPy is always there.
Packets a second are CPU time's; kpsim's are those of whole scenarios, with draws, prices of rules and tallies.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import simpy

from kpsim.experiment.observing.observe import observe
from kpsim.simulation import run_mode
from tests.benchmarks.measured import cpu_s
from tests.benchmarks.test_limits import controlled, large

pytestmark = pytest.mark.benchmark
PACKETS, ARRIVALS, SERVED = 40_000, 0.5, 1.0  # a unit of time
SOJOURN = 1 / (SERVED - ARRIVALS)
FASTER = 30  # kpsim is at least so many times as fast as any of them


def of_simpy(seed: int) -> list[float]:
    """Return the sojourns of packets that are a SimPy process each."""
    env, rng, seen = simpy.Environment(), random.Random(seed), list[float]()  # noqa: S311 - no secret
    server = simpy.Resource(env)

    def packet() -> Iterator[Any]:
        began = env.now
        with server.request() as turn:
            yield turn
            yield env.timeout(rng.expovariate(SERVED))
        seen.append(env.now - began)

    def source() -> Iterator[Any]:
        for _ in range(PACKETS):
            yield env.timeout(rng.expovariate(ARRIVALS))
            env.process(packet())  # type: ignore[arg-type]  # a generator

    env.process(source())  # type: ignore[arg-type]  # a generator
    env.run()
    return seen


def of_ns(seed: int) -> list[float]:
    """Return the sojourns of packets that go through a port of ns.py, whose sizes are their times."""
    pytest.importorskip("ns", reason="ns.py is not installed: make bench-peers")
    generator, port, sink = (
        pytest.importorskip(f"ns.{name}") for name in ("packet.dist_generator", "port.port", "packet.sink")
    )
    env, rng, gaps = simpy.Environment(), random.Random(seed), list[float]()  # noqa: S311 - no secret

    def gap() -> float:
        gaps.append(rng.expovariate(ARRIVALS))
        return gaps[-1]

    source = generator.DistPacketGenerator(
        env, "source", gap, lambda: rng.expovariate(SERVED), finish=PACKETS / ARRIVALS
    )
    out, end = port.Port(env, rate=8.0, qlimit=None, limit_bytes=False), sink.PacketSink(env)
    source.out, out.out = out, end
    env.run(until=PACKETS / ARRIVALS + 100)
    made = np.asarray(end.arrivals[0][::2])  # it notes each twice
    return list(made - np.asarray(end.packet_times[0]) - gaps[: len(made)])  # made a gap before they come


def of_ciw(seed: int) -> list[float]:
    """Return the sojourns of Ciw's customers."""
    ciw = pytest.importorskip("ciw", reason="Ciw is not installed: make bench-peers")
    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=ARRIVALS)],
        service_distributions=[ciw.dists.Exponential(rate=SERVED)],
        number_of_servers=[1],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(PACKETS)
    return [record.exit_date - record.arrival_date for record in simulation.get_all_records()]


@pytest.fixture(scope="module")
def own_per_s() -> float:
    """Return the packets a second of kpsim, drawn, served and tallied."""
    replication = controlled(large(1_000, packets="3M"))
    found = run_mode(replication, "iptables", "batch")
    packets = observe(replication, found, 20).counts.packets_simulated
    assert packets > 2_000_000
    per_s = packets / cpu_s(lambda: observe(replication, found, 20))
    print(f"kpsim: {per_s / 1e6:.1f} M packets/s")
    return per_s


@pytest.mark.parametrize("peer", [of_simpy, of_ns, of_ciw])
def test_a_peer(peer: Callable[[int], list[float]], own_per_s: float) -> None:
    """The peer serves the same queue, and takes many times as long for a packet."""
    peer(1)  # what is made once
    began = time.process_time()
    seen = peer(2)
    per_s = len(seen) / (time.process_time() - began)
    mean = float(np.mean(seen))
    print(f"{peer.__name__[3:]}: {per_s / 1e3:.0f} k packets/s, a {own_per_s / per_s:.0f}th; mean sojourn {mean:.2f}")
    assert len(seen) > 0.9 * PACKETS
    assert abs(mean / SOJOURN - 1) < 0.15
    assert own_per_s > FASTER * per_s
