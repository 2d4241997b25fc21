"""From the prices of the parts to an interval of kube-proxy's CPU: syncs by kind, and what it does beside them."""

from __future__ import annotations

from collections.abc import Mapping

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.memory import counts_today
from kpsim.experiment.answers.prices.parts import spread_of
from kpsim.measure.summary import Estimate
from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, SyncKind
from kpsim.proxy.work import cpu_work

BESIDE = ("change_decoded", "sync_accounted")  # CPU of a delivery, and of a sync that ran


PARTS = {  # of kube-proxy's CPU, by the names of their rates, with the syncs that take them
    "cpu_proxy_full_cores": SyncKind.FULL,
    "cpu_proxy_partial_cores": SyncKind.PARTIAL,
    "cpu_proxy_beside_cores": None,
}


def cpu_by_prices(
    cluster: Cluster, mode: Mode, cpu: Costs | None, wall: Costs, rates: Mapping[str, Estimate], changed: float
) -> dict[str, dict[str, Estimate]]:
    """Return kube-proxy's CPU [cores] with the interval of its prices: those of syncs, and those beside them."""
    total = rates.get("cpu_proxy_cores")
    if total is None or not total.value or not cluster.initial:
        return {}
    cores = {name: rates[name].value for name in PARTS if name in rates}
    below, above = cpu_moves(cluster, mode, cpu, wall, cores, changed)
    return {"cpu_proxy_cores": {"mean": Estimate(total.value, max(total.value - below, 0.0), total.value + above)}}


def cpu_moves(
    cluster: Cluster, mode: Mode, cpu: Costs | None, wall: Costs, cores: Mapping[str, float], changed: float
) -> tuple[float, float]:
    """Return how far below and above its value prices leave kube-proxy's CPU [cores], of which ``cores`` are parts."""
    counts, below, above = counts_today(cluster, mode, changed), 0.0, 0.0
    for name, kind in PARTS.items():
        each = cores.get(name, 0.0)
        if each:
            known = (cpu or wall).coefficients
            work = mode.sync_work(kind, counts) if kind else {price: 1 for price in BESIDE if price in known}
            spread = spread_of(known, cpu_work(mode, kind, counts) if kind and cpu else work)
            below, above = below + each * (1 - spread.low), above + each * (spread.high - 1)
    return below, above
