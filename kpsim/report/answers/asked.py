"""A question that no other key implies is asked by ``ask`` (CPU, late updates, balance) and answered by its causes."""

from __future__ import annotations

from kpsim.experiment.result import ModeResult, Result
from kpsim.report.answers.objectives import with_successor
from kpsim.report.answers.question import Question
from kpsim.report.answers.why import parts, reasons
from kpsim.report.wording.change import current_mode
from kpsim.report.wording.quantity import count, factor, percent, plain, quantity, told, told_both

_SHORTER = {  # what makes a stage of a change's way shorter, where it is the longest
    "wait for a sync": "kube-proxy syncs at most once in minSyncPeriod: kpsim tune FILE --knob minSyncPeriod",
    "sync": "another mode, a newer Kubernetes or fewer Services make a sync shorter: kpsim compare FILE",
    "token bucket": "kube-controller-manager writes at most qps a second: kpsim tune FILE --knob qps",
    "seats": "the API server has no seat free: apiServer.replicas, or fewer writes (kpsim tune FILE --knob slices)",
    "watch": "the way from the API server to the nodes is full: apiServer.replicas, or smaller slices",
}

_ONCE = (
    "kube-proxy chooses once for a connection: all requests on one that stays open (gRPC, HTTP/2) go to one endpoint, "
    "which the model does not count."
)
_LOCAL = ("local_ratio", "nodes")
_UNEVEN = 1.05
_LOCALLY = (
    "With externalTrafficPolicy: Local and a load balancer that gives each of the {} nodes with endpoints as much, the "
    "busiest would get {} the mean, by the endpoints' places alone."
)


def about_asked(result: Result, question: Question) -> list[str]:
    """Return the answer, and below it what would change it."""
    if not result.modes:
        return ["Nothing was run."]
    found = result.modes[current_mode(result)]
    if question is Question.CPU:
        return _cpu(found)
    return _updates(found) if question is Question.UPDATES else _balance(result)


def _cpu(found: ModeResult) -> list[str]:
    said = dict(reasons(found)).get("kube-proxy's CPU")
    if said is None:
        return [f"kube-proxy's CPU is not known with {found.mode}: the mode has no syncs to price."]
    syncs, lasts = found.rates.get("syncs_per_node_per_s"), found.summaries.get("sync_duration")
    often = ""
    if syncs is not None and lasts is not None and lasts.n:
        often = f"It syncs {plain(60 * syncs.value)} times a minute, {quantity(lasts.mean.value, lasts.unit)} each: "
        often += "fewer syncs by a longer minSyncPeriod (kpsim tune FILE --knob minSyncPeriod), "
        often += "shorter ones by another mode (kpsim compare FILE)."
    return [f"kube-proxy's CPU with {found.mode} is {said}.", *([often] if often else [])]


def _updates(found: ModeResult) -> list[str]:
    summary, stages = found.summaries.get("network_programming_true"), parts(found)
    if summary is None or not summary.n or not stages:
        return ["No update of endpoints is late, because none is in the measured time: add changes.churn or events."]
    at = next((name for name in ("p99", "p90", "p50") if name in summary.quantiles), "mean")
    late = told_both(summary.statistic(at), found.priced.get(summary.measure, {}).get(at), summary.unit)
    because = ", ".join(f"{percent(share)} {name}" for name, share in stages[:3] if share >= 0.01)
    first = f"An update of endpoints is in force {late} ({at}) after its cause with {found.mode}, because of {because}"
    longest = stages[0][0]
    shorter = f"; {_SHORTER[longest]}" if longest in _SHORTER else ""
    return [f"{first} (of a median one's way).", f"Most is the {longest}{shorter}."]


def _balance(result: Result) -> list[str]:
    each = [(mode, found.rates) for mode, found in result.modes.items() if "balance_endpoints" in found.rates]
    if not each:
        return ["How even the load is cannot be said: no connection reached an endpoint in the run."]
    rates = each[0][1]
    endpoints, mean = (rates[f"balance_{name}"].value for name in ("endpoints", "mean_connections"))
    said = "; ".join(
        f"{told(of['balance_busiest_ratio'])} times the mean with {with_successor(result, mode)}, the idlest "
        f"{told(of['balance_idlest_ratio'])}"
        for mode, of in each
    )
    chance = percent(mean**-0.5)
    local, nodes = (rates[f"balance_{name}"].value if f"balance_{name}" in rates else 0 for name in _LOCAL)
    apart = [_LOCALLY.format(count(nodes), factor(local))] if local >= _UNEVEN else []
    return [
        f"Load of the Service with most endpoints: the busiest of its {count(endpoints)} endpoints gets {said}.",
        f"An endpoint gets {count(mean)} connections in a run: chance alone spreads them by {chance} (one deviation).",
        *apart,
        _ONCE,
    ]
