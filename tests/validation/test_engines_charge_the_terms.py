"""A sync that an engine runs takes what ``kpsim validate`` predicts of that set-up, to the nanosecond."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.experiment.validation.prediction import priced
from kpsim.experiment.validation.setups import sync_question
from kpsim.experiment.validation.sizes import Size
from kpsim.history.events import Event
from kpsim.history.events.join import NodeJoin
from kpsim.history.events.objects import ServiceChange
from kpsim.profiles.costs import load_profile
from kpsim.proxy.contract import SyncCounts, SyncKind
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.proxy.work import EVERY_PART, kinds
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.simulation import build_cluster, prepare, run_mode
from kpsim.traffic.params import TrafficParams
from kpsim.units import I64, Version

S = 1_000_000_000
SERVICES, EACH = 30, 4
FAMILIES = ("iptables-legacy", "iptables-nft", "nftables")
VERSIONS: tuple[Version, ...] = ((1, 25), (1, 28), (1, 30), (1, 32), (1, 34), (1, 36))
NO_FAULTS = FaultParams()
CHANGE: tuple[Event, ...] = (ServiceChange(at_s=5.0, service="default/web-3"),)
JOIN: tuple[Event, ...] = (NodeJoin(at_s=5.0, count=1),)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped profile, where every sync takes its usual time."""
    text = load_profile("linux-6.18-zen3").text.document()
    text["variation"]["sync"]["typical"] = {0: 1.0, 1: 1.0}
    path: Path = tmp_path_factory.mktemp("profiles") / "steady.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return str(path)


def syncs(
    family: str, version: Version, profile: str, events: tuple[Event, ...], faults: FaultParams, engine: str, each: int
) -> tuple[I64, I64, I64]:
    """Durations, CPU times [ns], and whether each was full, of all syncs."""
    mode, _, backend = family.partition("-")
    scenario = Scenario(
        name="one",
        kubernetes_version=version,
        cluster=ClusterParams(nodes=4, cores=1, iptables_backend="nft" if backend == "nft" else "legacy"),
        groups=(ServiceGroup("web", SERVICES, EndpointCount(mean=each)),),
        kube_proxy=ProxyParams(mode=mode),
        modes=(mode,),
        traffic=TrafficParams(connections_per_s_per_node=0.1),
        events=events,
        faults=faults,
        profile=ProfileChoice(profile),
        run=RunParams(100.0, 0.0, replications=1),
    )
    table = run_mode(prepare(scenario, build_cluster(scenario)[0], 0), mode, engine).proxiers[0].syncs
    ran = table.ran & ~((table.end == table.process_since) & table.failed)
    return (table.end - table.start)[ran], table.cpu[ran], table.full[ran].astype(np.int64)


CASES = {
    "one": (CHANGE, NO_FAULTS, False),
    "start": (JOIN, NO_FAULTS, True),
    "restart": ((), FaultParams(restarts_per_hour=120.0), True),
    "full": (CHANGE, FaultParams(failed_syncs=1.0), True),  # what follows a failure is a full one
}


SETUPS = [
    (family, version, operation, engine, each)
    for family in FAMILIES
    for version in VERSIONS
    for operation in CASES
    for engine, each in (("batch", EACH), ("batch", 50), ("reference", EACH))
    if (family != "nftables" or version >= (1, 29))  # which that mode came with
    and (operation != "full" or each == EACH)  # half a minute after a failure, a large cluster looks for chains again
]


@pytest.mark.parametrize(("family", "version", "operation", "engine", "each"), SETUPS)
def test_a_sync_takes_what_validation_predicts(
    steady: str, family: str, version: Version, operation: str, engine: str, each: int
) -> None:
    events, faults, whole = CASES[operation]
    took, cpu, full = syncs(family, version, steady, events, faults, engine, each)
    profile = load_profile(steady)
    size = Size(SERVICES, SERVICES * each, 1.0 if operation == "one" else 0.0)
    for found, aspect in ((took, ""), (cpu, "cpu")):
        asked = sync_question(family, version, size, operation, EVERY_PART, aspect)
        predicted = round(priced(asked, profile) * S)
        mine = found[full == whole] if not (operation == "one" and full.all()) else found
        close = np.abs(mine - predicted) <= 1
        assert close.any(), (predicted, mine)
        if operation in ("one", "full"):  # beside a first sync, running kube-proxies have others
            assert close.all(), (predicted, mine)


def test_syncs_are_of_the_kind_that_their_changes_make_them() -> None:
    every = {
        SyncKind.START: {"fresh": 1, "first": 1, "changed_services": 2},
        SyncKind.RESTART: {"first": 1},
        SyncKind.FULL: {"changed_services": 2},
        SyncKind.NOTHING: {},
        SyncKind.DELETE: {"changed_services": 2, "gone_services": 2},
        SyncKind.ADD: {"changed_services": 2, "new_services": 2},
        SyncKind.PARTIAL: {"changed_services": 2, "new_services": 1, "gone_services": 1},
    }
    names = ("changed_services", "gone_services", "new_services", "first", "fresh")
    columns: dict[str, Any] = {name: np.array([made.get(name, 0) for made in every.values()]) for name in names}
    full = np.array([kind.whole for kind in every])
    counts = replace(SyncCounts(0, 0, 0, 0, 0, 0, 0, 0), **columns)
    found = dict(kinds(counts, full))
    assert {kind: which.tolist() for kind, which in found.items()} == {
        kind: [kind is other for other in every] for kind in every
    }
