"""Search paths, caches and sizes: the published tables, number by number."""

from __future__ import annotations

import numpy as np
import pytest

from kpsim.dns.caches import CacheTimes, miss_share
from kpsim.dns.capacity import autoscaled_replicas, memory_bytes, saturation_per_s
from kpsim.dns.params import EXAMPLES, DnsParams, NameForm
from kpsim.dns.search import Library, ResolvConf
from kpsim.profiles.defaults import load_defaults

# How a Pod in namespace ns writes a name, the tries until it is found, and the queries these are (A and AAAA each).
TABLE: list[tuple[NameForm, int, int, int]] = [
    ("short", 0, 1, 2),
    ("namespaced", 0, 2, 4),
    ("partial", 0, 3, 6),
    ("qualified", 0, 4, 8),
    ("external", 0, 4, 8),
    ("external", 1, 5, 10),
    ("external", 2, 6, 12),
    ("absolute", 0, 1, 2),
    ("externalAbsolute", 0, 1, 2),
]


@pytest.mark.parametrize(("names", "node_domains", "tries", "queries"), TABLE)
def test_tries_and_queries_of_each_form_of_name(names: NameForm, node_domains: int, tries: int, queries: int) -> None:
    found = DnsParams(names=names, node_domains=node_domains).tries()
    assert (len(found), 2 * len(found)) == (tries, queries)


def test_the_order_in_which_names_are_tried() -> None:
    conf = ResolvConf.of_pod("ns", node_domains=("c.example",))
    assert conf.search == ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "c.example")
    assert conf.tries("svc.ns") == (
        "svc.ns.ns.svc.cluster.local",
        "svc.ns.svc.cluster.local",
        "svc.ns.cluster.local",
        "svc.ns.c.example",
        "svc.ns",
    )
    assert conf.tries("svc.ns.svc.cluster.local.") == ("svc.ns.svc.cluster.local",)


def test_a_node_domain_that_is_the_clusters_is_listed_once() -> None:
    assert ResolvConf.of_pod("ns", node_domains=("cluster.local",)).search[-1] == "cluster.local"
    assert len(ResolvConf.of_pod("ns", node_domains=("cluster.local",)).search) == 3


@pytest.mark.parametrize(
    ("library", "ndots", "name", "first", "tries"),
    [
        ("glibc", 1, "www.example.com", "www.example.com", 4),  # falls back to the list
        ("musl", 1, "www.example.com", "www.example.com", 1),  # does not
        ("glibc", 2, "www.example.com", "www.example.com", 4),  # as many dots as ndots are enough
        ("glibc", 3, "www.example.com", "www.example.com.ns.svc.cluster.local", 4),
        ("musl", 3, "www.example.com", "www.example.com.ns.svc.cluster.local", 4),
        ("glibc", 0, "web", "web", 4),
        ("musl", 0, "web", "web", 1),
    ],
)
def test_dots_decide_who_is_tried_first(library: Library, ndots: int, name: str, first: str, tries: int) -> None:
    found = ResolvConf.of_pod("ns", ndots=ndots, library=library).tries(name)
    assert (found[0], len(found)) == (first, tries)


def test_fewer_dots_than_four_find_a_qualified_name_at_once() -> None:
    assert len(DnsParams(names="qualified", ndots=4).tries()) == 1
    assert EXAMPLES["qualified"].count(".") == 4


# ── Sizes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("objects", "data_mb"), [(15_800, 31), (63_000, 76), (158_000, 154)])
def test_memory_holds_what_its_parts_add_up_to(objects: int, data_mb: int) -> None:
    found = memory_bytes(objects, 0)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= (30 + 5 + data_mb) * 1e6 <= found.high


def test_autopath_takes_four_times_as_much_for_each_object() -> None:
    assert memory_bytes(4_000, 0, autopath=True).value == 72e6


@pytest.mark.parametrize(
    ("nodes", "cores", "guard", "replicas"),
    [
        (5000, 40_000, True, 313),
        (5000, 320_000, True, 1250),
        (1, 4, True, 1),
        (2, 8, True, 2),
        (2, 8, False, 1),
        (16, 64, False, 1),
        (17, 64, False, 2),
        (3, 513, False, 3),
    ],
)
def test_replicas_follow_nodes_and_cores(nodes: int, cores: int, guard: bool, replicas: int) -> None:
    assert autoscaled_replicas(nodes, cores, prevent_single_point=guard) == replicas


def test_saturation_is_that_of_two_cores_that_were_measured() -> None:
    assert saturation_per_s(2).value == pytest.approx(33_669, rel=0.01)
    node = saturation_per_s(1, node_local=True)
    assert node.low is not None
    assert node.high is not None
    assert node.low <= 820 / 0.05 <= node.high
    assert node.low <= 860 / 0.05 <= node.high


# ── Caches ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_kept_how_long() -> None:
    assert CacheTimes.of(None, node_local=False) == CacheTimes(30, 0, 0)
    assert CacheTimes.of(None, node_local=True) == CacheTimes(30, 30, 5)
    assert CacheTimes.of(5, node_local=True) == CacheTimes(5, 5, 5)
    assert CacheTimes.of(120, node_local=True) == CacheTimes(120, 30, 5)
    assert CacheTimes.of(0, node_local=True) == CacheTimes(0, 0, 0)


def test_a_name_asked_often_is_rarely_missed() -> None:
    share = miss_share(np.array([0.0, 1 / 30, 10.0]), 30)
    assert share.tolist() == pytest.approx([1, 0.5, 1 / 301])


def test_every_number_has_a_source() -> None:
    defaults = load_defaults()
    numbers = [c for key, c in defaults.coefficients.items() if key.startswith("dns.")]
    assert len(numbers) >= 18
    assert all(c.source in defaults.text.sources for c in numbers)
