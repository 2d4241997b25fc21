"""A profile fitted to the log of a real kube-proxy predicts sizes that the log has not; its base does not.

The rows are those of a machine that the base was not measured on, written as the log that such a kube-proxy writes.
"""

from __future__ import annotations

from pathlib import Path

from kpsim.calibration.records import Record
from kpsim.experiment.calibrating.answer import answer
from kpsim.experiment.calibrating.observed import Hints
from kpsim.experiment.validation.machines import shipped_records, written

BASE = "linux-6.18-zen3"
SEEN = 1000  # Services, up to which the log goes
LIKE_A_LOGS = ("add", "one", "k10", "k100", "full")


def log_of(records: list[Record]) -> str:
    """The lines that these syncs would have written; those that looked for no stale chains soon after the last."""
    text, at = "", 0
    for record in records:
        at += 40 if record.number("save_wall_s") else 1
        services = record.number("services")
        endpoints = services * record.number("endpoints_per_service", 95.0)
        head = f"I0105 {at // 3600 % 24:02d}:{at // 60 % 60:02d}:{at % 60:02d}.000001       1 proxier.go:822] "
        full = str(record.setup["operation"] == "full").lower()
        rules = f" numNATRules={record.number('nat_rules'):.0f}"
        counts = f"numServices={services:.0f} numEndpoints={endpoints:.0f}{rules}"
        text += f'{head}"Syncing iptables rules" ipFamily="IPv4" fullSync={full}\n'
        text += f'{head}"Reloading service iptables data" ipFamily="IPv4" {counts}\n'
        text += f'{head}"SyncProxyRules complete" ipFamily="IPv4" elapsed="{1e3 * record.measured:.4f}ms"\n'
    return text


def times(log: Path, profile: str) -> dict[str, float]:
    """How many times as long each kind of sync takes as a profile says."""
    return {each.kind: each.times for each in answer([log], Hints(), profile).comparisons}


def test_larger_clusters_are_predicted_from_a_log_of_smaller_ones(tmp_path: Path) -> None:
    rows = [
        record
        for record in shipped_records(["kube-proxy-zen5.csv"])
        if record.quantity == "wall_s" and record.mode == "iptables-legacy" and record.setup["version"] == "1.30"
        if record.setup["operation"] in LIKE_A_LOGS
    ]
    seen, larger = tmp_path / "seen.log", tmp_path / "larger.log"
    seen.write_text(log_of([record for record in rows if record.number("services") <= SEEN]))
    larger.write_text(log_of([record for record in rows if record.number("services") > SEEN]))
    found = answer([seen], Hints(), BASE)
    assert found.fitted.off < 0.1 < found.fitted.off_before
    profile = tmp_path / "mine.yaml"
    profile.write_text(written(found.profile("mine"), "a test"))
    fitted, untouched = times(larger, str(profile)), times(larger, BASE)
    assert {"partial", "full"} <= fitted.keys()
    assert all(0.75 < ratio < 1.25 for ratio in fitted.values()), fitted
    assert not all(0.75 < ratio < 1.25 for ratio in untouched.values()), untouched
