"""Whole sizes are left out of the fits and predicted: how good a prediction is of what nobody has measured.

Each fold leaves out one size of commands and packets, and one configuration of kube-proxies, and fits everything anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import zip_longest

import numpy as np
import pytest

from kpsim.calibration import least_squares
from kpsim.calibration.records import KERNEL, SYNCS, Record
from kpsim.experiment.validation.machines import main, shipped_records
from kpsim.experiment.validation.prediction import COMMANDS, group, profile_for
from kpsim.experiment.validation.setups import TICK_S
from kpsim.experiment.validation.verdicts import Verdict, coverage, judged

# Of commands and packets; no fit takes 2,000, and the ends would be extrapolations.
SIZES = ("100", "1000", "5000")
CONFIGURATIONS = (  # of kube-proxies: Services, and endpoints of each
    ("100", "1"), ("100", "5"), ("100", "30"), ("1000", "1"), ("1000", "5"), ("1000", "30"), ("2000", "1"),
    ("3000", "1"), ("3000", "5"), ("10000", "1"), ("10000", "5"),
)  # fmt: skip
FOLDS = tuple(zip_longest(SIZES, CONFIGURATIONS, fillvalue=""))
RESAMPLED = 10  # a coefficient's own interval matters only beyond what was measured
FAMILIES = ("iptables-legacy", "iptables-nft", "nftables")
TICKS_TOLD = 2  # from which a reading tells a relative error
FEW = 20  # rows of a group, from which its coverage is judged


def of_fold(size: str, configuration: tuple[str, str] | str) -> Callable[[Record], bool]:
    def left_out(record: Record) -> bool:
        if record.study == SYNCS:
            return (record.setup["services"], record.setup["endpoints_per_service"]) == configuration
        return record.study == KERNEL and profile_for(record) == COMMANDS and record.setup["services"] == size

    return left_out


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """Verdicts on every row that was left out, by a profile that has not seen its size."""
    found: list[Verdict] = []
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(least_squares, "RESAMPLED", RESAMPLED)
    for n, fold in enumerate(FOLDS):
        folder = tmp_path_factory.mktemp(f"fold-{n}")
        left_out = of_fold(*fold)
        main(folder, left_out)
        rows: dict[str, list[Record]] = defaultdict(list)
        for record in shipped_records():
            if left_out(record) and record.setup["use"] != "disturbed":
                rows[profile_for(record)].append(record)
        for name, records in rows.items():
            found += judged(records, {}, str(folder / f"{name}.yaml")).verdicts
    monkeypatch.undo()
    return found


def errors(verdicts: list[Verdict]) -> np.ndarray:
    assert len(verdicts) > 5
    found = np.abs([verdict.ratio - 1 for verdict in verdicts])
    print(f"{len(found)} rows, median {np.median(found):.1%}, nine of ten within {np.quantile(found, 0.9):.0%}")
    return found


def of(verdicts: list[Verdict], mode: str, wanted: Callable[[str], bool], study: str = KERNEL) -> list[Verdict]:
    return [v for v in verdicts if (v.record.mode, v.record.study) == (mode, study) and wanted(v.record.quantity)]


@pytest.mark.parametrize("mode", FAMILIES)
def test_packets_and_connections(unseen: list[Verdict], mode: str) -> None:
    off = errors(of(unseen, mode, lambda q: q in ("udp_first", "tcp_connect")))
    assert np.median(off) <= 0.10
    assert off.max() <= 0.25


@pytest.mark.parametrize(("mode", "middle"), [("iptables-legacy", 0.12), ("iptables-nft", 0.15), ("nftables", 0.15)])
def test_rule_updates(unseen: list[Verdict], mode: str, middle: float) -> None:
    off = errors(of(unseen, mode, lambda q: q.endswith(".wall")))
    assert np.median(off) <= middle
    assert np.mean(off <= 0.35) >= 0.9


@pytest.mark.parametrize(
    "mode", ["iptables-legacy", "nftables"]
)  # of the third there are two sizes: one tells no slope
def test_memory(unseen: list[Verdict], mode: str) -> None:
    off = errors(of(unseen, mode, lambda q: "rss" in q or q.startswith("kernel_")))
    assert np.median(off) <= 0.15


@pytest.mark.parametrize("mode", FAMILIES)
def test_throughput(unseen: list[Verdict], mode: str) -> None:
    off = errors(
        of(unseen, mode, lambda q: q in ("udp_new_flows", "tcp_connects", "udp_established_packets", "tcp_rr"))
    )
    assert np.median(off) <= 0.10
    assert off.max() <= 0.25


@pytest.mark.parametrize("mode", FAMILIES)
@pytest.mark.parametrize(("quantity", "middle"), [("wall_s", 0.12), ("go_wall_s", 0.20), ("rss_kb", 0.20)])
def test_syncs(unseen: list[Verdict], mode: str, quantity: str, middle: float) -> None:
    off = errors(of(unseen, mode, lambda q: q == quantity, SYNCS))
    assert np.median(off) <= middle
    assert np.mean(off <= 0.35) >= 0.9


MISSED = {
    "nftables": "nine of ten within 42 % (median 13.7 %): ticks of 4 ms alone make a model that knows all miss by 26 %",
}
COMMANDS_OF = [
    pytest.param(mode, marks=pytest.mark.xfail(reason=MISSED[mode], strict=True)) if mode in MISSED else mode
    for mode in FAMILIES
]


@pytest.mark.parametrize("mode", COMMANDS_OF)
def test_cpu_of_commands(unseen: list[Verdict], mode: str) -> None:
    """Where the model says that the clock, which counts ticks, can tell a share; the others count for intervals."""
    commands = of(unseen, mode, lambda q: q.endswith((".user", ".sys")))
    off = errors([verdict for verdict in commands if verdict.prediction.value >= TICKS_TOLD * TICK_S])
    assert np.median(off) <= 0.15
    assert np.mean(off <= 0.40) >= 0.9


def test_intervals_hold_what_they_say(unseen: list[Verdict]) -> None:
    groups: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in unseen:
        groups[group(verdict.record), verdict.record.mode].append(verdict)
    held = {key: coverage(each) for key, each in groups.items() if len(each) >= FEW}
    print(f"{len(unseen)} rows, {coverage(unseen):.1%} inside; least: {sorted(held.items(), key=lambda x: x[1])[:5]}")
    assert 0.90 <= coverage(unseen) <= 0.98
    assert len(held) > 10
    assert min(held.values()) >= 0.85
