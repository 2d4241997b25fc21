"""Two scrapes of kube-proxy's metrics become the syncs between them, whatever release shows them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kpsim.calibration.readings import Observed
from kpsim.calibration.scrapes import between, read_scrape
from kpsim.errors import InputError

SYNC = "kubeproxy_sync_{}proxy_rules_duration_seconds"


def scrape(rows: Mapping[str, float], file: str = "a") -> str:
    """The text of a scrape, with what else a real one has around it."""
    others = ["# HELP go_goroutines Number of goroutines.", "# TYPE go_goroutines gauge", "go_goroutines 71"]
    return "\n".join([*others, *(f"{name} {value}" for name, value in rows.items()), 'rest_client{a="b c"} 1e+06', ""])


def histogram(kind: str, count: float, sum_s: float, labels: str = "", le: float = 0.128) -> dict[str, float]:
    """One histogram, all of whose syncs are in one bucket."""
    name, comma = SYNC.format(kind), "," if labels else ""
    braces = f"{{{labels}}}" if labels else ""
    buckets = {
        f'{name}_bucket{{{labels}{comma}le="{bound}"}}': 0.0 if bound < le else count for bound in (0.064, 0.128, 0.256)
    }
    return {
        **buckets,
        f'{name}_bucket{{{labels}{comma}le="+Inf"}}': count,
        f"{name}_sum{braces}": sum_s,
        f"{name}_count{braces}": count,
    }


def seen(one: Mapping[str, float], two: Mapping[str, float]) -> Observed:
    """Both scrapes, read."""
    return between(read_scrape(scrape(one), "one"), read_scrape(scrape(two), "two"))


RULES, LAST = "kubeproxy_sync_proxy_rules_iptables_total", "kubeproxy_sync_proxy_rules_iptables_last"


@pytest.mark.parametrize(
    ("one", "two", "since", "until", "mode", "kinds"),
    [
        (  # 1.25: one histogram, whose syncs are all full
            histogram("", 10, 1.0), {**histogram("", 30, 3.0), f'{RULES}{{table="nat"}}': 897},
            (1, 21), (1, 32), "iptables", [(None, 20, 0.1, 897)],
        ),
        (  # 1.28: kinds apart, families not
            {**histogram("", 10, 1.0), **histogram("full_", 4, 0.9), **histogram("partial_", 6, 0.1)},
            {**histogram("", 31, 3.0), **histogram("full_", 5, 1.0), **histogram("partial_", 26, 2.1),
             f'{RULES}{{table="nat"}}': 897, f'{LAST}{{table="nat"}}': 131},
            (1, 28), (1, 32), "iptables", [(True, 1, 0.1, 897), (False, 20, 0.1, 897)],
        ),
        (  # 1.33: a label of the family
            histogram("partial_", 6, 0.1, 'ip_family="IPv4"'),
            {**histogram("partial_", 26, 2.1, 'ip_family="IPv4"'), **histogram("partial_", 2, 0.2, 'ip_family="IPv6"'),
             f'{RULES}{{ip_family="IPv4",table="nat"}}': 897, f'{RULES}{{ip_family="IPv6",table="nat"}}': 57},
            (1, 33), (99, 99), "iptables", [(False, 20, 0.1, 897), (False, 2, 0.1, 57)],
        ),
        (  # nftables since 1.31
            histogram("full_", 1, 0.1, 'ip_family="IPv4"'), histogram("full_", 3, 0.3, 'ip_family="IPv4"'),
            (1, 33), (99, 99), "nftables", [(True, 2, 0.1, None)],
        ),
    ],
)  # fmt: skip
def test_every_generation_is_read(
    one: dict[str, float],
    two: dict[str, float],
    since: tuple[int, int],
    until: tuple[int, int],
    mode: str,
    kinds: list[tuple[bool | None, int, float, float | None]],
) -> None:
    found = seen(one, two)
    assert (found.since, found.until, found.mode) == (since, until, mode)
    read = [(each.full, each.times, round(each.took_s, 9), each.present) for each in found.readings]
    assert read == kinds


def test_a_partial_syncs_own_rules_and_the_spread_are_taken() -> None:
    rules = {f'{RULES}{{table="nat"}}': 897, f'{LAST}{{table="nat"}}': 131}
    found = seen(histogram("partial_", 6, 0.1), {**histogram("partial_", 26, 2.1), **rules})
    assert found.readings[0].written == 131
    assert 0.1 < found.readings[0].spread < 0.3, "all in one bucket, so no more than its own width"


def test_a_start_in_between_is_seen_by_counters_that_fall_or_by_its_time() -> None:
    fell = seen(histogram("full_", 9, 1.0), histogram("full_", 1, 0.4))
    assert [(each.times, each.took_s, each.first) for each in fell.readings] == [(1, 0.4, True)]
    started = {"process_start_time_seconds": 100.0}, {"process_start_time_seconds": 900.0}
    later = seen(histogram("full_", 1, 0.4) | started[0], histogram("full_", 3, 0.9) | started[1])
    assert [(each.times, each.first) for each in later.readings] == [(3, False)]
    assert "started between" in " ".join(later.notes)


def test_scrapes_in_the_wrong_order_are_turned() -> None:
    stamp = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
    one, two = histogram("full_", 1, 0.4) | {stamp: 100.0}, histogram("full_", 3, 0.8) | {stamp: 900.0}
    assert seen(two, one).readings == seen(one, two).readings


def test_scrapes_without_the_last_syncs_time_are_turned_by_start_and_counts() -> None:
    """One process' counts never fall, and a later process started later."""
    same = {"process_start_time_seconds": 100.0}
    one, two = histogram("full_", 1, 0.4) | same, histogram("full_", 3, 0.8) | same
    assert seen(two, one).readings == seen(one, two).readings
    assert "started between" not in " ".join(seen(two, one).notes)
    later = histogram("full_", 2, 0.9) | {"process_start_time_seconds": 900.0}
    assert seen(later, two).readings == seen(two, later).readings
    assert [each.times for each in seen(later, two).readings] == [2]


def openmetrics(text: str) -> str:
    """Return a scrape as OpenMetrics writes it: exemplars, bounds as floats, times in seconds, an end."""
    lines = [
        f'{line} 1700000000.125 # {{trace_id="a # b"}} 0.067 1700000000.1' if "_bucket{" in line else line
        for line in text.replace('le="1"', 'le="1.0"').splitlines()
    ]
    return "\n".join([*lines, "# EOF", ""])


def test_a_scrape_in_openmetrics_is_the_same_beside_one_that_is_not() -> None:
    one, two = (scrape(histogram("partial_", n, 0.1 * n, le=1.0) | {f'{RULES}{{table="nat"}}': 897}) for n in (6, 26))
    one, two = (text.replace('le="0.256"', 'le="1"') for text in (one, two))
    want = between(read_scrape(one, "one"), read_scrape(two, "two"))
    for first, second in ((one, openmetrics(two)), (openmetrics(one), two), (openmetrics(one), openmetrics(two))):
        assert between(read_scrape(first, "one"), read_scrape(second, "two")) == want
    assert not want.notes


def test_kube_proxys_own_cpu_time_and_its_release_are_read() -> None:
    build = {'kubernetes_build_info{git_version="v1.31.4",major="1"}': 1.0}
    one = histogram("full_", 1, 0.4) | {"process_cpu_seconds_total": 10.0}
    two = histogram("full_", 3, 0.8) | {"process_cpu_seconds_total": 10.5} | build
    found = seen(one, two)
    assert (found.go_cpu_s, found.version) == (0.5, (1, 31))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# HELP go_x y\ngo_x 1\n", "a:1:1: has no metric of kube-proxy's syncs"),
        ("kubeproxy_sync_x{le=\n", "a:1:1: is no metric and its value"),
        ('kubeproxy_sync_x{le="1"} one\n', "a:1:1: is no metric and its value"),
        ('kubeproxy_sync_x 1\nI0105 10:00:00.1  1 a.go:1] "hello"\n', "a:2:1: is no line of metrics"),
        ("kubeproxy_sync_x 1\n" + "a" * ((32 << 20) + 2), "a:2:33554433: the line is longer"),
    ],
)  # fmt: skip
def test_hostile_scrapes_are_refused_with_a_place(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        read_scrape(text, "a")
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "1e300"])
def test_impossible_numbers_make_no_syncs(value: str) -> None:
    two = {**histogram("full_", 3, 0.8), SYNC.format("full_") + "_sum": float(value)}
    two |= {f"{SYNC.format('full_')}_count": float(value)} if value != "-1" else {}
    with pytest.raises(InputError, match="no sync ended"):
        seen(histogram("full_", 1, 0.4), two)
