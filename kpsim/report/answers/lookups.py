"""Names are answered for by their cost: in the median, beyond a second and why, and without the search path."""

from __future__ import annotations

from kpsim.experiment.result import ModeResult, Result
from kpsim.measure.summary import SLOW_LOOKUP_S
from kpsim.report.wording.quantity import count, factor, percent, quantity, told_both, told_share

_RULE_OF_THREE = 3.0  # of n where none was seen, the 95 % bound is 3 / n


def about_lookups(result: Result) -> list[str]:
    """Return what a lookup costs and how many are slow and why, and then what would change that."""
    found = next((found for found in result.modes.values() if "dns_latency" in found.summaries), None)
    if found is None:
        return []
    return [f"{_median(found)}; {_slow(result, found)}.", _changes(result)]


def _median(found: ModeResult) -> str:
    written, absolute = (found.summaries.get(name) for name in ("dns_latency", "dns_latency_absolute"))
    assert written is not None
    statistic = "p50" if "p50" in written.quantiles else "mean"
    value = written.statistic(statistic)
    assert value is not None
    prices = found.priced.get("dns_latency", {}).get(statistic)
    said = f"A lookup takes {told_both(value, prices, 's')} ({statistic})"
    other = absolute.statistic(statistic) if absolute is not None and absolute.n else None
    if other is None or not other.value:
        return said
    times = value.value / other.value
    if times < 1.05:
        return f"{said}, as with absolute names"
    return f"{said}, {factor(times)} the {quantity(other.value, 's')} with absolute names (a last dot)"


def _slow(result: Result, found: ModeResult) -> str:
    """Return the share of lookups beyond a second, as written and with absolute names, and the reason."""
    beyond = f"longer than {quantity(SLOW_LOOKUP_S, 's').replace('.00', '')}"
    share, absolute = found.rates.get("lookups_slow_share"), found.rates.get("lookups_absolute_slow_share")
    if share is None:
        return f"no lookup was seen that took {beyond}"
    if not share.value:
        looked = found.counts["lookups"].value
        bound = f" (95 %: fewer than 1 in {count(looked * result.runs / _RULE_OF_THREE)})" if looked else ""
        return f"none of {count(looked)} in a run takes {beyond}{bound}, because {_no_reason(result)}"
    with_dot = f", with absolute names {told_share(absolute)}" if absolute is not None else ""
    return f"{told_share(share)} take {beyond}{with_dot}, because {_reason(result)}"


def _queries(result: Result) -> tuple[float, float]:
    return next(((e.used, e.limit) for e in result.limits if e.name == "DNS queries"), (0.0, 0.0))


def _no_reason(result: Result) -> str:
    used, limit = _queries(result)
    busy = f"CoreDNS is {percent(used / limit)} busy" if limit else "CoreDNS keeps up"
    if result.scenario.dns.race:
        return f"few pairs of queries lose an answer, and {busy}"
    return f"no answer is lost to conntrack's race (dns.raceProbability, for kernels before 5.1) and {busy}"


def _reason(result: Result) -> str:
    dns, (used, limit) = result.scenario.dns, _queries(result)
    reasons = []
    if limit and used > limit:
        reasons.append(f"CoreDNS is asked {count(used)} queries a second and answers {count(limit)}")
    if dns.race and not dns.node_local:
        pairs = f"{percent(dns.race)} of all pairs of queries"
        reasons.append(f"conntrack loses an answer of {pairs}, and clients wait five seconds to ask again")
    return " and ".join(reasons) or "others' answers and queues add up"


def _changes(result: Result) -> str:
    dns = result.scenario.dns
    said = []
    if dns.names not in ("absolute", "externalAbsolute") and len(dns.tries()) > 1:
        said.append(f"a last dot asks {count(1)} name instead of {count(len(dns.tries()))} (dns.names=absolute)")
    if not dns.node_local:
        said.append("a cache on every node answers most lookups there (--set dns.nodeLocal=true shows by how much)")
    return f"To change that: {'; '.join(said)}." if said else "Names are absolute and cached on every node already."
