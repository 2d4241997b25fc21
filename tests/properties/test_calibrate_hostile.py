"""Whatever stands in a log or a scrape, it is read or refused with a place; no other error comes out."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.calibration.logs import read_log
from kpsim.calibration.logs.texts import text_of
from kpsim.calibration.readings import SyncReading
from kpsim.calibration.scrapes import between, read_scrape
from kpsim.errors import InputError
from kpsim.experiment.calibrating.comparing import compared
from kpsim.experiment.calibrating.fitting import fitted
from kpsim.experiment.calibrating.observed import Cluster, Hints
from kpsim.experiment.calibrating.pricing import priced
from kpsim.profiles.costs import load_profile

HEAD = "I0105 10:00:00.000001       1 proxier.go:822] "
JSON = '{"ts":1,"caller":"a.go:1","msg":"SyncProxyRules complete","elapsed":'
WORDS = st.sampled_from(
    [
        '"Syncing iptables rules"',
        '"Reloading service nftables data"',
        '"SyncProxyRules complete"',
        "syncProxyRules took",
        '"Sync failed"\n',
        '"Version info"',
        '"Adding new service port"',
        ' ipFamily="IPv6"',
        " elapsed=",
        " numServices=",
        " numNATRules=",
        "1m2.5s",
        '"93ms"',
        "-1",
        "1e999\n",
        "NaN",
        '"',
        "{",
        "}",
        "\\",
        "[pod/a/b] ",
        "F0229 ",
        "9999999999",
        " fullSync=true",
        "# TYPE ",
        "kubeproxy_sync_proxy_rules_duration_seconds",
        "_count ",
        "_sum\n",
        '_bucket{le="0.1"} ',
        "{ip_family=",
        " # {} 1",
        "\r",
        HEAD,
        JSON,
        "\n" + HEAD,
    ]
)
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=30).map("".join)


@given(TEXTS)
def test_any_log_gives_durations_or_is_refused(text: str) -> None:
    with suppress(InputError):
        assert all(reading.took_s > 0 for reading in read_log(text, "a").readings)


@given(TEXTS, TEXTS)
def test_any_two_scrapes_give_durations_or_are_refused(one: str, two: str) -> None:
    known = "kubeproxy_sync_proxy_rules_service_changes_pending 0\n"
    with suppress(InputError):
        found = between(read_scrape(known + one, "a"), read_scrape(known + two, "b"))
        assert all(reading.took_s > 0 for reading in found.readings)


@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_are_refused(raw: bytes) -> None:
    for head in (b"", b"\x1f\x8b\x08\x00", b"\xff\xfe"):
        with suppress(InputError):
            assert text_of(head + raw, "a").strip()


def _counts(most: int) -> st.SearchStrategy[float | None]:
    return st.none() | st.integers(0, most).map(float)


@pytest.mark.parametrize("family", ["iptables-legacy", "iptables-nft", "nftables", "ipvs", "kernelspace"])
@pytest.mark.parametrize("version", [(1, 19), (1, 27), (1, 36)])
@settings(max_examples=25)
@given(
    readings=st.lists(
        st.builds(
            SyncReading,
            took_s=st.floats(1e-9, 1e7),
            times=st.sampled_from([1, 2, 10**9]),
            spread=st.floats(0, 5),
            full=st.none() | st.booleans(),
            first=st.booleans(),
            after_failure=st.booleans(),
            services=_counts(10**8),
            endpoints=_counts(10**8),
            written=_counts(10**8),
            present=_counts(10**8),
            cleanup=st.floats(0, 1),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_readings_are_fitted(readings: list[SyncReading], family: str, version: tuple[int, int]) -> None:
    profile = load_profile("linux-6.18-zen3")
    syncs, left_out = priced(readings, Cluster(family, version, ()), Hints(), profile)
    assert syncs or left_out
    if syncs:
        assert all(each.low <= each.times <= each.high for each in compared(syncs, profile, family))
        for each in fitted(syncs, profile, family, 0.1).coefficients:
            assert isfinite(each.value)
            assert 0 < each.low <= each.value <= each.high
