"""Reasons are on every first page: a change's stages, kube-proxy's CPU by cause, and full syncs with their mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kpsim.experiment.result import ModeResult
from kpsim.measure.intervals import BEYOND
from kpsim.measure.summary import Summary
from kpsim.report.wording.quantity import EMPTY, count, percent, quantity, told, told_both

_SHOWN = 3  # stages named, the longest first

_CPU_OF = {"full": "full syncs", "partial": "partial syncs", "beside": "beside syncs, such as decoding events"}


def parts(found: ModeResult) -> list[tuple[str, float]]:
    """Return the stages of a median change with their share of its way, the longest first."""
    ends = [stage.p50_s for stage in found.stages]
    if not ends or ends[-1] <= 0:
        return []
    took = [end - before for before, end in zip([0.0, *ends[:-1]], ends, strict=True)]
    named = [(stage.name, each / ends[-1]) for stage, each in zip(found.stages, took, strict=True)]
    return sorted(named, key=lambda part: -part[1])


def dominant(found: ModeResult) -> tuple[str, float] | None:
    """Return the stage that takes most of a change's way, if any takes more than half of it."""
    longest = parts(found)[:1]
    return longest[0] if longest and longest[0][1] > 0.5 else None


def reasons(found: ModeResult) -> list[tuple[str, str]]:
    """Return (heading, sentence) rows about a mode: a change's way, kube-proxy's CPU, its full syncs."""
    rows = (
        ("a change's way", _way(found)),
        ("kube-proxy's CPU", _cpu(found)),
        ("full syncs", _full_syncs(found)),
    )
    return [(head, text) for head, text in rows if text]


def _way(found: ModeResult) -> str:
    longest = [(name, share) for name, share in parts(found)[:_SHOWN] if share >= 0.01]
    if not longest:
        return ""
    most = f"most of it is the {longest[0][0]}: " if longest[0][1] > 0.5 else ""
    said = ", ".join(f"{percent(share)} {name}" for name, share in longest)
    return f"{quantity(found.stages[-1].p50_s, 's')} in the median, {most}{said}"


def _cpu(found: ModeResult) -> str:
    total = found.rates.get("cpu_proxy_cores")
    if total is None:
        return ""
    said = f"{told_both(total, found.priced.get('cpu_proxy_cores', {}).get('mean'))} cores a node"
    kinds = [(said, found.rates.get(f"cpu_proxy_{kind}_cores")) for kind, said in _CPU_OF.items()]
    shares = [f"{percent(e.value / total.value)} {said}" for said, e in kinds if e and e.value and total.value]
    dearest = _dearest(found)
    packets = found.rates.get("cpu_packets_cores")
    beside = f"; the kernel's for its packets, {told(packets)}" if packets is not None else ""
    return said + (f": {', '.join(shares)}" if shares else "") + dearest + beside


def _dearest(found: ModeResult) -> str:
    """Return the prices that most of a sync goes into, of the kind that took more time."""
    kinds = {kind: found.rates.get(f"cpu_proxy_{kind}_cores") for kind in found.sync_parts}
    took = {kind: each.value for kind, each in kinds.items() if each is not None and each.value}
    if not took:
        return ""
    kind = max(took, key=lambda name: took[name])
    most = [(name, share) for name, share in found.sync_parts[kind][:_SHOWN] if share >= 0.05]
    return f", of a {kind} one {', '.join(f'{percent(share)} {name}' for name, share in most)}" if most else ""


def _full_syncs(found: ModeResult) -> str:
    if found.rates.get("cpu_proxy_cores") is None:
        return ""
    summary, each = found.summaries.get("sync_duration_full"), found.rates.get("full_syncs_per_node_per_s")
    if summary is None or not summary.n:
        return "none in the measured time"
    often = f"{told_rate(each.value)} a node, " if each is not None else ""
    return f"{often}{told(summary.mean, summary.unit)} in the mean, {quantity(summary.max, summary.unit)} at most"


def told_rate(per_s: float) -> str:
    """Return how often something happens: "2.4 an hour", "3.1 a minute"."""
    for seconds, unit in ((1.0, "a second"), (60.0, "a minute")):
        if per_s * seconds >= 1:
            return f"{per_s * seconds:.3g} {unit}"
    return f"{per_s * 3600:.3g} an hour"


def why_empty(summaries: Iterable[Summary], statistics: Sequence[str]) -> str:
    """Return the reason for the dashes of a table; "" if it has none."""
    if all(name in s.quantiles for s in summaries if s.n for name in statistics):
        return ""
    return f"{EMPTY} fewer than {count(BEYOND)} observations lie beyond the percentile, too few to tell it by"
