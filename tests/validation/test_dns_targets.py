"""CoreDNS against what its scaling document measured; targets are data.

Every number is what the model came to: a sweep of loads for capacity, a cluster's limits for memory.  A twin breaks the
model in one place and must miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.dns.capacity import memory_bytes, saturation_per_s
from kpsim.dns.params import DnsParams
from kpsim.experiment.answers.limits import limits_of
from kpsim.profiles.defaults import load_defaults
from kpsim.queues import last_starts
from kpsim.rng import stream
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster
from kpsim.units import to_ns
from tests.validation.targets import TARGETS, Found, Target, check, each_of, missed, target_named

PODS, SERVICES = 150_000, 8_200
QUERY_S = load_defaults().value("dns.query")
PUBLISHED_PER_S = 16_835  # a core, by which the sweep is spaced
SHARES = np.arange(0.3, 1.6, 0.02)


@cache
def held_bytes() -> float:
    """What CoreDNS holds of the largest cluster: all its Pods behind 8,200 Services, one of them large."""
    most = PODS - 18 * (SERVICES - 1)
    groups = (
        ServiceGroup("small", SERVICES - 1, EndpointCount(mean=18)),
        ServiceGroup("large", 1, EndpointCount(mean=most)),
    )
    dns = DnsParams(clients_use_names=True)
    scenario = Scenario(name="largest", cluster=ClusterParams(nodes=5_000), groups=groups, dns=dns)
    cluster, _ = build_cluster(scenario)
    assert (cluster.pods, cluster.initial) == (PODS, SERVICES)
    (limit,) = (limit for limit in limits_of(scenario, cluster) if limit.name == "CoreDNS' memory")
    return limit.used


def backlog_growth(asked_per_s: float, cores: int, queries: int) -> float:
    """By how much the wait grows in a second of this load [s/s]; about 0 while there is a steady state."""
    rng, length_s = stream(1, "dns-sweep", cores, round(asked_per_s)), 4.0
    arrival = np.sort(rng.integers(0, to_ns(length_s), rng.poisson(asked_per_s * length_s)))
    queue = np.zeros(len(arrival), np.int64)
    wait = last_starts(arrival, queue, queue + queries, cores, to_ns(QUERY_S)) - arrival
    return float(np.polyfit(arrival / 1e9, wait / 1e9, 1)[0])


@cache
def saturated_per_s(cores: int, queries: int = 1) -> float:
    """The least load of a sweep under which waits grow without end; all larger ones make them grow too."""
    loads = SHARES * PUBLISHED_PER_S * cores
    growing = np.array([backlog_growth(float(load), cores, queries) for load in loads]) > 0.005
    knee = float(loads[np.argmax(growing)])
    assert not growing[0]
    assert growing[loads >= knee].all()
    return knee


MODEL: Mapping[str, Callable[[], Found]] = {
    "memory_bytes": lambda: Found(held_bytes()),
    "one_core_per_s": lambda: Found(saturated_per_s(1)),
    "two_cores_per_s": lambda: Found(saturated_per_s(2) / 2),
}


@each_of("DNS")
def test_the_model_meets_its_target(target: Target) -> None:
    check(target, MODEL)


def test_every_target_is_computed() -> None:
    assert {target["of"] for target in TARGETS["DNS"]} == set(MODEL)


@pytest.mark.parametrize("cores", [1, 2])
def test_the_closed_form_is_what_the_sweep_finds(cores: int) -> None:
    assert saturated_per_s(cores) == pytest.approx(saturation_per_s(cores).value, rel=0.05)


WRONG: Mapping[str, Callable[[], Found]] = {
    "memory_bytes": lambda: Found(memory_bytes(PODS, SERVICES, autopath=True).value),
    "one_core_per_s": lambda: Found(saturated_per_s(1, queries=2)),  # lookups, each of them A and AAAA
    "two_cores_per_s": lambda: Found(saturated_per_s(1) / 2),  # one core does the work
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_misses(name: str) -> None:
    assert missed(target_named(name), WRONG[name]())
