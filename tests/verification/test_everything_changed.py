"""A partial sync that changes every Service writes what a full one writes, and costs about as much."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.proxy.contract import SyncCounts, SyncKind
from kpsim.proxy.work import TimedMode
from kpsim.scenario.reader import read
from kpsim.simulation import mode_of

SERVICES, EACH = 8_000, 30
YAML = """
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {{name: all}}
spec:
  kubernetes: {{version: '{version}'}}
  kubeProxy: {{mode: {mode}}}
  cluster: {{iptablesBackend: {backend}}}
  services: [{{name: web, count: 10, endpoints: 2}}]
"""


@pytest.mark.parametrize(
    ("mode", "version", "backend"),
    [("iptables", "1.34", "legacy"), ("iptables", "1.34", "nft"), ("nftables", "1.31", "legacy"),
     ("nftables", "1.34", "legacy"), ("nftables", "1.36", "legacy")],
)  # fmt: skip
def test_all_changed_costs_as_all_rewritten(tmp_path: Path, mode: str, version: str, backend: str) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(YAML.format(mode=mode, version=version, backend=backend), encoding="utf-8")
    made, costs = mode_of(read(file), mode)
    assert isinstance(made, TimedMode)
    own = SERVICES * (3 * EACH + 1 if mode == "iptables" else 2 * (3 + 2 * EACH) // 2)
    counts = SyncCounts(
        service_ports=SERVICES, endpoints=SERVICES * EACH, dispatch=SERVICES, own=own,
        changed_services=SERVICES, changed_own=own, endpoint_changes=SERVICES, changed_dispatch=SERVICES, cleanup=0,
    )  # fmt: skip
    wanted = ("go", "list", "restore") if version == "1.36" else ("restore",)
    took = {}
    for kind in (SyncKind.FULL, SyncKind.PARTIAL):
        work = made.timed(kind, counts, wanted).work
        took[kind] = {name: float(count) * costs.coefficients[name].value for name, count in work.items()}
    full_s, partial_s = (sum(each.values()) for each in took.values())
    assert 0.9 < partial_s / full_s < 1.5
    # as if what changes were written beside nothing, which is what a few changed Services cannot tell
    alone_s = sum(s for name, s in took[SyncKind.PARTIAL].items() if "rewritten" not in name and "full" not in name)
    assert alone_s / full_s < 0.7
