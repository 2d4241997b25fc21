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


def cpu_by_prices(
    cluster: Cluster, mode: Mode, cpu: Costs | None, wall: Costs, rates: Mapping[str, Estimate], changed: float
) -> dict[str, dict[str, Estimate]]:
    """Return kube-proxy's CPU [cores] with the interval of its prices: those of syncs, and those beside them."""
    total = rates.get("cpu_proxy_cores")
    if total is None or not total.value or not cluster.initial:
        return {}
    counts, below, above = counts_today(cluster, mode, changed), 0.0, 0.0
    kinds = {"full": SyncKind.FULL, "partial": SyncKind.PARTIAL, "beside": None}
    for name, kind in kinds.items():
        cores = rates[f"cpu_proxy_{name}_cores"].value if f"cpu_proxy_{name}_cores" in rates else 0.0
        if cores:
            known = (cpu or wall).coefficients
            work = mode.sync_work(kind, counts) if kind else {each: 1 for each in BESIDE if each in known}
            spread = spread_of(known, cpu_work(mode, kind, counts) if kind and cpu else work)
            below, above = below + cores * (1 - spread.low), above + cores * (spread.high - 1)
    return {"cpu_proxy_cores": {"mean": Estimate(total.value, max(total.value - below, 0.0), total.value + above)}}
