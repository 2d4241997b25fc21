"""The one change that helps most: which other mode, what it gains and what it costs, and the configuration to paste.

Only what was run can be proposed: modes compared in the same result, over the same arrivals and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from kpsim.experiment.result import Result
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.proxy.registry import MODES
from kpsim.report.wording.quantity import factor, ratio
from kpsim.report.wording.ranking import ALIKE, apart, listed
from kpsim.scenario.model import Scenario
from kpsim.scenario.sections.kubeproxy import kube_proxy_document

# Sections of kubeproxy.config.k8s.io/v1alpha1 with sync periods.  A mode without one is not set in a
# KubeProxyConfiguration alone, and there is nothing to paste.
_SECTIONS = frozenset({"iptables", "ipvs", "nftables"})


@dataclass(frozen=True, slots=True)
class Gain:
    """``measure`` in another mode over that in the current one; ``clear`` where the interval leaves out 1."""

    measure: str
    statistic: str
    ratio: Estimate
    prices: Estimate | None = None

    @property
    def clear(self) -> bool:
        """Return True if neither interval, the paired one by sampling and that by prices, holds 1."""
        both = [self.ratio] if self.prices is None else [self.ratio, self.prices]
        known = [(e.low, e.high) for e in both if e.low is not None and e.high is not None]
        return self.ratio.low is not None and (all(high < 1 for _, high in known) or all(low > 1 for low, _ in known))


def _told(found: Estimate) -> str:
    return ratio(found).replace(" [", " [95 %: ")


def successor(result: Result, mode: str) -> str:
    """Return ", but ipvs is deprecated …: nftables is the alternative" of a mode without a future; else ""."""
    entry = MODES.get(mode)
    if entry is None or entry.deprecated is None:
        return ""
    version = result.scenario.kubernetes_version
    at = "{}.{}".format(*entry.deprecated)
    gone = f" and gone in {'{}.{}'.format(*entry.removed)}" if entry.removed else ""
    when = f"since Kubernetes {at}" if version >= entry.deprecated else f"from Kubernetes {at} on"
    other = alternative(result, mode)
    ran = "" if other in result.modes else f", not run here (--set compare.modes={','.join([*result.modes, other])})"
    return f", but {mode} is deprecated {when}{gone}: {other} is the alternative{ran}"


def alternative(result: Result, mode: str) -> str:
    """Return the usual mode that outlives ``mode`` in this version of Kubernetes, the newest of them."""
    version = result.scenario.kubernetes_version
    lasting = [
        entry
        for entry in MODES.values()
        if entry.usual and entry.deprecated is None and entry.name != mode and entry.status(version) == "available"
    ]
    return max(lasting, key=lambda entry: entry.since or (0, 0)).name if lasting else "iptables"


def lasting(result: Result, modes: Iterable[str]) -> list[str]:
    """Return the modes that are not deprecated in this version of Kubernetes; all of them if every one is."""
    version, each = result.scenario.kubernetes_version, list(modes)
    kept = [mode for mode in each if mode not in MODES or MODES[mode].status(version) != "deprecated"]
    return kept or each


def current_mode(result: Result) -> str:
    """Return the mode the scenario's kube-proxy is configured for, or else the first that ran."""
    configured = result.scenario.kube_proxy.mode
    return configured if configured in result.modes or not result.modes else next(iter(result.modes))


def gains(result: Result, mode: str, current: str) -> list[Gain]:
    """Paired ratios of ``mode`` to ``current``, whichever way round they were compared; one statistic a measure."""
    found: dict[str, Gain] = {}
    for each in result.comparisons:
        if {each.mode, each.against} != {mode, current}:
            continue
        same = each.mode == mode
        ratio = each.ratio if same else _inverse(each.ratio)
        prices = each.prices if same or each.prices is None else _inverse(each.prices)
        if ratio is not None and (each.measure not in found or each.statistic == "p99"):
            found[each.measure] = Gain(each.measure, each.statistic, ratio, prices)
    return [found[measure] for measure in MEASURES if measure in found]


def _inverse(ratio: Estimate) -> Estimate | None:
    ends = [ratio.value, ratio.low, ratio.high]
    if any(end is not None and end <= 0 for end in ends):
        return None
    return Estimate(1 / ratio.value, 1 / ratio.high if ratio.high else None, 1 / ratio.low if ratio.low else None)


def phrase(gain: Gain) -> str:
    """Return a ratio in words with its interval: "first packets 0.371x [95 %: 0.366, 0.376] (p99)"."""
    return f"{MEASURES[gain.measure].told} {_told(gain.ratio)} ({gain.statistic})"


@dataclass(frozen=True, slots=True)
class _Advice:
    """The mode to change to if any, the mode that the sentence favours, the sentence, and one with figures."""

    to: str | None
    favoured: str
    said: str
    figures: str = ""


def suggestion(result: Result, current: str, met: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the mode to change to, if any, and the sentences that say so.

    A deprecated mode is named with the alternative in the same sentence, and proposed only where no other run would do.
    """
    advice = _advice(result, current, met)
    first = f"{advice.said.removesuffix('.')}{successor(result, advice.favoured)}."
    return advice.to, f"{first} {advice.figures}" if advice.figures else first


def _advice(result: Result, current: str, met: Mapping[str, str]) -> _Advice:
    others = [mode for mode in result.modes if mode != current]
    if not others:
        return _Advice(None, current, f"Only {current} was run; `kpsim compare` shows what another mode would change.")
    if not result.verdicts:
        return _by_gain(result, current, others)
    meeting = [mode for mode in others if met[mode] == "met"]
    if met[current] == "met":
        none = _Advice(None, current, "No other mode run meets every objective.")
        best = _by_gain(result, current, meeting) if meeting else none
        said = f"Nothing has to change; {best.said[0].lower()}{best.said[1:]}"
        return _Advice(None, best.favoured, said, best.figures)
    if met[current] == "undecided":
        if not meeting:
            return _Advice(None, current, _to_decide(result, current))
        shown = lasting(result, meeting)[0]
        said = f"{_to_decide(result, current).removesuffix('.')}; {shown} is shown to meet every objective."
        return _Advice(None, shown, said)
    if not meeting:
        open_ones = [mode for mode in others if met[mode] == "undecided"]
        maybe = f", and whether {listed(open_ones, 'or')} does cannot be said" if open_ones else ""
        none_meets = f"None of the modes run is shown to meet every objective{maybe}; size or churn has to give."
        return _Advice(None, current, none_meets)
    to = min(lasting(result, meeting), key=lambda mode: (_score(result, mode, current), others.index(mode)))
    return _Advice(to, to, f"Changing to {to} meets what {current} fails.", _figures(result, to, current))


def _to_decide(result: Result, current: str) -> str:
    """Return what would settle an objective that is undecided: observations, or prices of one's own machine."""
    reasons = {v.straddled_by for v in result.verdicts if v.mode == current and v.passed is None}
    if reasons == {"profile"}:
        return (
            "No number of replications settles it: the profile's prices are not known well enough; a profile measured "
            "on the nodes in question would (profile.name)."
        )
    return f"More replications than {result.scenario.run.replications} would narrow the intervals and settle it."


def choice(result: Result, recommended: str | None, change: str) -> str:
    """Return the mode to choose in this version of Kubernetes, with the reason for it."""
    version = "{}.{}".format(*result.scenario.kubernetes_version)
    why = f"{change[:1].lower()}{change[1:]}"
    if recommended is None:
        open_ones = {v.mode for v in result.verdicts if v.passed is None and v.mode == current_mode(result)}
        stay = f"stay with {current_mode(result)}{', as long as its objectives are undecided' if open_ones else ''}"
        return f"In Kubernetes {version}, {stay}: {why.removesuffix('.')}{_not_run(result)}."
    entry = MODES.get(recommended)
    if entry is not None and entry.deprecated is not None:
        return f"In Kubernetes {version}, {why}"
    kernel = f" ({entry.needs})" if entry is not None and entry.needs else ""
    return f"In Kubernetes {version}, choose {recommended}{kernel}: {why}"


def _not_run(result: Result) -> str:
    """Return that the usual mode which lasts longest was left out of the comparison, if it was."""
    version, other = result.scenario.kubernetes_version, alternative(result, current_mode(result))
    if other in result.modes or MODES[other].status(version) != "available" or successor(result, current_mode(result)):
        return ""
    return f"; {other} was not run (--set compare.modes={','.join([*result.modes, other])})"


def _by_gain(result: Result, current: str, candidates: list[str]) -> _Advice:
    hurt = {mode: _worse_at_events(result, mode, current) for mode in candidates}
    better = [mode for mode in candidates if _score(result, mode, current) < 1 and not hurt[mode]]
    if not better:
        worse = [text for mode in candidates for text in _against(result, mode, current, hurt[mode])]
        why = f": {'; '.join(worse)}" if worse else ""
        return _Advice(None, current, f"No other mode run here is clearly better than {current}{why}.")
    kept = lasting(result, better)
    best = min(kept, key=lambda mode: (_score(result, mode, current), candidates.index(mode)))
    of = "modes run" if len(kept) == len(better) else "modes run that last"
    return _Advice(best, best, f"Of the {of}, {best} gains most over {current}.", _figures(result, best, current))


def _against(result: Result, mode: str, current: str, hurt: Sequence[str]) -> list[str]:
    """Return what speaks against ``mode``: clearly slower measures, and events that cost more."""
    slower = [gain for gain in _clear(result, mode, current) if gain.ratio.value > 1]
    said = [f"times of {mode} relative to {current} are {_times(slower)}"] if slower else []
    return [*said, f"with {mode} {listed(hurt)}"] if hurt else said


def _worse_at_events(result: Result, mode: str, current: str) -> list[str]:
    """Return the events at which ``mode`` clearly costs more: "the join of a node takes 6.2x"."""
    worse = []
    for mine, now in zip(result.modes[mode].events, result.modes[current].events, strict=True):
        if mine.unusable_s and now.unusable_s and mine.unusable_s > ALIKE * now.unusable_s:
            worse.append(f"the {mine.event} takes {factor(mine.unusable_s / now.unusable_s)}")
        elif mine.connections.value > now.connections.value and apart(mine.connections, now.connections):
            times = (
                f"{factor(mine.connections.value / now.connections.value)} the" if now.connections.value else "the only"
            )
            worse.append(f"{mine.event} has {times} failed connections")
    return worse


def _clear(result: Result, mode: str, current: str) -> list[Gain]:
    return [gain for gain in gains(result, mode, current) if gain.clear]


def _times(gains: Sequence[Gain]) -> str:
    """Return ratios with what they are of: "0.3x [95 %: 0.2, 0.4] for first packets (p99)"."""
    return listed(f"{_told(gain.ratio)} for {MEASURES[gain.measure].told} ({gain.statistic})" for gain in gains)


def _score(result: Result, mode: str, current: str) -> float:
    """Return the product of clear ratios: below 1, the mode gains more than it costs."""
    score = 1.0
    for gain in gains(result, mode, current):
        score *= gain.ratio.value if gain.clear else 1.0
    return score


def _figures(result: Result, mode: str, current: str) -> str:
    """Return a sentence with what ``mode`` gains and what that costs; "" where nothing is clear."""
    clear = _clear(result, mode, current)
    lower, higher = ([gain for gain in clear if (gain.ratio.value < 1) is less] for less in (True, False))
    sides = [_times(side) for side in (lower, higher) if side]
    return f"Relative to {current}, times are {', but '.join(sides)}." if sides else ""


def configuration(scenario: Scenario, mode: str) -> str | None:
    """Return the KubeProxyConfiguration of ``mode`` as YAML: pasted into the scenario, it gives the simulated run.

    ``None`` where no such file sets the mode.
    """
    if mode not in _SECTIONS:
        return None
    head = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    return yaml.safe_dump({**head, **kube_proxy_document(scenario.kube_proxy.for_mode(mode))}, sort_keys=False)
