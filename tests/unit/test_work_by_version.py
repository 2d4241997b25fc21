"""What syncs do, counted, by version and back end: every count has a price, and processes are those of the source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kpsim.profiles.costs import load_profile
from kpsim.proxy.contract import PacketState, SyncCounts, SyncKind, Work
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import create
from kpsim.proxy.work import TimedMode

VERSIONS = [(1, minor) for minor in range(25, 37)]
COUNTS = SyncCounts(
    service_ports=100, endpoints=500, dispatch=100, own=1600, changed_services=1, changed_own=16, endpoint_changes=1,
    cleanup=1,
)  # fmt: skip


def work(mode: str, version: tuple[int, int], kind: SyncKind, backend: str = "legacy", **more: Any) -> Work:
    made = create(ProxyParams(mode=mode, kubernetes_version=version), backend)
    return made.sync_work(kind, replace(COUNTS, **more))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("mode", "backend"), [("iptables", "legacy"), ("iptables", "nft"), ("nftables", "legacy")])
def test_everything_that_is_counted_has_a_price(mode: str, backend: str, version: tuple[int, int]) -> None:
    made = create(ProxyParams(mode=mode, kubernetes_version=version), backend)
    costs = load_profile("measured-linux-6.18").costs(made.family, "typical", 1.0)
    for kind in SyncKind:
        assert work(mode, version, kind, backend).keys() <= costs.coefficients.keys()
    for state in PacketState:
        for stage in made.stages(state):
            assert stage.work.keys() <= costs.coefficients.keys()


@pytest.mark.parametrize(
    ("version", "kind", "processes"),
    [((1, 25), SyncKind.FULL, 24), ((1, 26), SyncKind.FULL, 24), ((1, 27), SyncKind.FULL, 28),
     ((1, 36), SyncKind.FULL, 28), ((1, 36), SyncKind.PARTIAL, 0)],
)  # fmt: skip
def test_processes_ensure_chains_and_rules(version: tuple[int, int], kind: SyncKind, processes: int) -> None:
    for backend in ("legacy", "nft"):
        found = work("iptables", version, kind, backend)
        assert found.get("iptables_run", 0) == processes
        assert (found["save_run"], found["sync_restore"]) == (1, 1)


def test_a_first_start_inserts_each_jump_too() -> None:
    assert work("iptables", (1, 34), SyncKind.START, fresh=1)["iptables_run"] == 42


@pytest.mark.parametrize(
    ("version", "partial", "full"),
    [((1, 30), 2, 2), ((1, 32), 2, 2), ((1, 33), 1, 7), ((1, 35), 1, 7), ((1, 36), 1, 8)],
)
def test_nft_is_asked_what_there_is(version: tuple[int, int], partial: int, full: int) -> None:
    mode = create(ProxyParams(mode="nftables", kubernetes_version=version))
    assert isinstance(mode, TimedMode)
    assert mode.timed(SyncKind.PARTIAL, COUNTS, ("list",)).work["list_run"] == partial
    assert mode.timed(SyncKind.FULL, COUNTS, ("list",)).work["list_run"] == full


def test_every_sync_of_nftables_lists_all_rules_since_1_33() -> None:
    idle = work("nftables", (1, 34), SyncKind.NOTHING, changed_services=0, changed_own=0, endpoint_changes=0)
    assert idle["rule_listed"] == 22 + 1600
    assert idle["empty_run"] == 1, "nft runs even where there is nothing to send"
    assert "rule_listed" not in work("nftables", (1, 32), SyncKind.PARTIAL)


def test_only_the_legacy_back_end_has_a_lock() -> None:
    for backend, locks in (("legacy", True), ("nft", False)):
        assert create(ProxyParams(mode="iptables"), backend).runner((1, 34)).locks is locks
