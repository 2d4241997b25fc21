"""The one change that helps most: which other mode, what it gains and what it costs, and the configuration to paste.

Only what was run can be proposed: modes compared in the same result, over the same arrivals and changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from kpsim.experiment.result import Result
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.report.wording.quantity import ratio
from kpsim.report.wording.ranking import listed
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

    @property
    def clear(self) -> bool:
        """Return True if the paired interval leaves out 1."""
        low, high = self.ratio.low, self.ratio.high
        return low is not None and high is not None and (high < 1 or low > 1)


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
        ratio = each.ratio if each.mode == mode else _inverse(each.ratio)
        if ratio is not None and (each.measure not in found or each.statistic == "p99"):
            found[each.measure] = Gain(each.measure, each.statistic, ratio)
    return [found[measure] for measure in MEASURES if measure in found]


def _inverse(ratio: Estimate) -> Estimate | None:
    ends = [ratio.value, ratio.low, ratio.high]
    if any(end is not None and end <= 0 for end in ends):
        return None
    return Estimate(1 / ratio.value, 1 / ratio.high if ratio.high else None, 1 / ratio.low if ratio.low else None)


def phrase(gain: Gain) -> str:
    """Return a ratio in words with its interval: "first packets 0.371x [0.366, 0.376] (p99)"."""
    return f"{MEASURES[gain.measure].told} {ratio(gain.ratio)} ({gain.statistic})"


def suggestion(result: Result, current: str, met: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the mode to change to, if any, and the sentence that says so."""
    others = [mode for mode in result.modes if mode != current]
    if not others:
        return None, f"Only {current} was run; `kpsim compare` shows what another mode would change."
    if not result.verdicts:
        return _by_gain(result, current, others)
    meeting = [mode for mode in others if met[mode] == "met"]
    if met[current] == "met":
        said = _by_gain(result, current, meeting)[1] if meeting else "No other mode run meets every objective."
        return None, f"Nothing has to change; {said[0].lower()}{said[1:]}"
    if met[current] == "undecided":
        ran = result.scenario.run.replications
        return None, f"More replications than {ran} would narrow the intervals and settle it."
    if not meeting:
        open_ones = [mode for mode in others if met[mode] == "undecided"]
        maybe = f", and whether {listed(open_ones, 'or')} does cannot be said" if open_ones else ""
        return None, f"None of the modes run is shown to meet every objective{maybe}; size or churn has to give."
    best = min(meeting, key=lambda mode: (_score(result, mode, current), others.index(mode)))
    return best, f"Changing to {best} meets what {current} fails{_detail(result, best, current)}."


def _by_gain(result: Result, current: str, candidates: list[str]) -> tuple[str | None, str]:
    better = [mode for mode in candidates if _score(result, mode, current) < 1]
    if not better:
        worse = [
            f"{mode} takes the time of {current} {listed(slower)}"
            for mode in candidates
            if (slower := _slower(result, mode, current))
        ]
        return (
            None,
            f"No other mode run here is clearly better than {current}{': ' if worse else ''}{'; '.join(worse)}.",
        )
    best = min(better, key=lambda mode: (_score(result, mode, current), candidates.index(mode)))
    return best, f"Of the modes run, {best} gains most over {current}{_detail(result, best, current)}."


def _slower(result: Result, mode: str, current: str) -> list[str]:
    """Return the measures that take clearly longer with ``mode``: "1.57x [1.56, 1.59] (p99) for first packets"."""
    clear = [gain for gain in gains(result, mode, current) if gain.clear and gain.ratio.value > 1]
    return [f"{ratio(gain.ratio)} ({gain.statistic}) for {MEASURES[gain.measure].told}" for gain in clear]


def _score(result: Result, mode: str, current: str) -> float:
    """Return the product of clear ratios: below 1, the mode gains more than it costs."""
    score = 1.0
    for gain in gains(result, mode, current):
        score *= gain.ratio.value if gain.clear else 1.0
    return score


def _detail(result: Result, mode: str, current: str) -> str:
    clear = [gain for gain in gains(result, mode, current) if gain.clear]
    lower = [phrase(gain) for gain in clear if gain.ratio.value < 1]
    higher = [phrase(gain) for gain in clear if gain.ratio.value > 1]
    said = [f"relative to {current}, time for {listed(lower)}"] if lower else []
    if higher:
        said.append(f"{'at the price of' if lower else f'relative to {current}, time for'} {listed(higher)}")
    return f"; {', '.join(said)}" if said else ""


def configuration(scenario: Scenario, mode: str) -> str | None:
    """Return the KubeProxyConfiguration of ``mode`` as YAML: pasted into the scenario, it gives the simulated run.

    ``None`` where no such file sets the mode.
    """
    if mode not in _SECTIONS:
        return None
    head = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    return yaml.safe_dump({**head, **kube_proxy_document(scenario.kube_proxy.for_mode(mode))}, sort_keys=False)
