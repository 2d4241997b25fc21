"""Recorded runs of real controllers done again: runs of our own with known answers, and a folder of real ones.

The runs of our own are small tables in the form of the recordings; what is to come out follows from the token bucket,
from whole seconds, and from which Pods are in the list.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from kpsim.controlplane.params import ControllerManagerParams
from kpsim.controlplane.replay.recording import Recording
from kpsim.controlplane.replay.rerun import Outcome, replay
from kpsim.controlplane.replay.study import Comparison, compare
from kpsim.profiles.defaults import load_defaults

FOLDER = "KPSIM_REAL_ENDPOINTSLICE"
ACTIONS = ("asked_s", "answered_s", "operation", "pod", "ip", "status")
EVENTS = ("at_s", "resource", "type", "object", "service", "endpoints", "ready", "bytes", "trigger", "changed")

Asked = tuple[float, str, str, str]  # when, operation, Service, address
Seen = tuple[float, str, str, str, str]  # when, type, Service, trigger, changed


def rows_of(names: Sequence[str], rows: Iterable[Sequence[object]]) -> list[dict[str, str]]:
    return [dict(zip(names, map(str, row), strict=True)) for row in rows]


def recorded(asked: Iterable[Asked], seen: Iterable[Seen]) -> Recording:
    actions = [(t, t + 0.01, what, f"{service}-7d9c8b6f4-0", ip, 200) for t, what, service, ip in asked]
    events = [
        (t, "endpointslices", kind, f"{service}-x", service, "", "", "", trigger, changed)
        for t, kind, service, trigger, changed in seen
    ]
    return Recording.of(rows_of(ACTIONS, actions), rows_of(EVENTS, events))


def table(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(text.decode())))


def again(recording: Recording, qps: float = 20, burst: int = 30, seed: int = 1) -> Outcome:
    return replay(recording, ControllerManagerParams(qps=qps, burst=burst), load_defaults(), seed)


def standing(services: int, flags: str) -> list[Seen]:
    stamp = "2026-01-01T00:00:00Z"
    return [(-1.0, "ADDED", f"s{n:03}", stamp, f"10.0.{n // 250}.{n % 250}={flags}") for n in range(services)]


def flips(services: int, what: str, every_s: float) -> list[Asked]:
    return [(n * every_s, what, f"s{n:03}", f"10.0.{n // 250}.{n % 250}") for n in range(services)]


@pytest.mark.parametrize(("qps", "burst"), [(20, 30), (50, 60)])
def test_services_at_once_wait_for_tokens_in_order(qps: float, burst: int) -> None:
    made = recorded(flips(200, "ready", 0.001), standing(200, ""))
    found = again(made, qps, burst)
    assert (found.slice_writes, found.endpoints_writes, found.stale_syncs, found.with_trigger) == (200, 200, 0, 1.0)
    expected = np.maximum(np.arange(1, 201) - burst, 0) / qps - np.arange(200) * 0.001
    for percent in (50, 90, 99):
        assert found.percentile_s(percent) == pytest.approx(np.percentile(expected, percent), abs=0.15)


def test_a_machine_that_stood_still_is_no_fault_of_the_controllers() -> None:
    """Nothing is seen for three seconds: the bucket is full afterwards, and loses what it could not hold."""
    asked = flips(100, "unready", 0.001)
    seen = [*standing(100, "RS"), (0.5, "MODIFIED", "s000", "", ""), (3.5, "MODIFIED", "s001", "", "")]
    still = recorded(asked, seen)
    assert still.stalls == [(0.5, 3.5)]
    found = again(still)
    assert found.latency_s.max() == pytest.approx(3.5 + (100 - 30 - 0.5 * 20 - 30) / 20, abs=0.2)


def test_services_whose_slices_are_still_owed_come_first() -> None:
    """Created before the start: placeholders are written in the order of creation, with no token to spare."""
    births: list[Seen] = [(0.05 * n - 1, "ADDED", f"s{n:03}", "2026-01-01T00:00:00Z", "") for n in range(200)]
    asked = [(5.2 + n * 0.001, "ready", f"s{n:03}", f"10.0.0.{n}") for n in range(200)]
    seen = [*births, (9.5, "MODIFIED", "s150", "2026-01-01T00:00:07Z", "10.0.0.150=RS")]
    made = recorded(asked, seen)
    assert list(made.created_s)[:3] == ["s000", "s001", "s002"]
    found = again(made)
    assert found.with_trigger == 1.0
    assert found.slice_writes + 100 > 200 > found.percentile_s(99) > found.percentile_s(50)


def test_pods_that_come_one_by_one() -> None:
    """An address and readiness in one second are one transition time: that second write has no trigger."""
    ips = [f"10.0.0.{n}" for n in range(60)]
    asked = [(n * 0.97 + after_s, what, "web", ip) for n, ip in enumerate(ips) for after_s, what in
             ((0.0, "create"), (0.1, "ip"), (0.6, "ready"))]  # fmt: skip
    made = recorded(sorted(asked), [(-1.0, "ADDED", "web", "2026-01-01T00:00:00Z", "")])
    found = [again(made, seed=seed) for seed in range(4)]
    assert {outcome.slice_writes for outcome in found} <= set(range(115, 121))
    later = np.mean([int(n * 0.97 + 0.6) > int(n * 0.97 + 0.1) for n in range(60)])
    assert np.mean([outcome.with_trigger for outcome in found]) == pytest.approx((1 + later) / 2, abs=0.02)
    assert max(outcome.percentile_s(50) for outcome in found) < 0.03


def test_retries_of_a_busy_service_are_a_share_of_its_syncs_and_cost_writes() -> None:
    """Pods leave ten Services' worth of slices: most syncs follow at once on another, and one in five is too early."""
    ips = [f"10.0.{n // 250}.{n % 250}" for n in range(1_000)]
    asked = [(n * 0.07 + after_s, what, "web", ips[n * 7 % 1_000]) for n in range(300)
             for after_s, what in ((0.0, "term"), (0.5, "gone"))]  # fmt: skip
    held = "|".join(f"{ip}=RS" for ip in ips)
    made = recorded(sorted(asked), [(-1.0, "ADDED", "web", "2026-01-01T00:00:00Z", held)])
    found = [again(made, seed=seed) for seed in range(4)]
    assert {outcome.with_trigger for outcome in found} == {0.0}
    assert all(0.12 < outcome.stale_syncs / outcome.slice_writes < 0.28 for outcome in found)
    assert all(outcome.slice_writes < 23 * 20 + 30 for outcome in found)


def test_real_runs_are_met() -> None:
    """Every quantity of every recorded run that was not disturbed, within what it is allowed."""
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"{FOLDER} does not name a folder of recorded runs")
    found: list[Comparison] = []
    for summary in table(Path(folder) / "summary.csv"):
        paths = [Path(folder) / f"{summary['run']}.{what}.csv.gz" for what in ("actions", "events")]
        found += compare(summary, Recording.of(*map(table, paths)), load_defaults())
    for each in found:
        verdict = "disturbed" if each.disturbed else "ok" if each.agrees else "MISSED"
        print(f"{each.run:16} {each.quantity:28} {each.measured:8g} {each.predicted:8.3g} {verdict}")
    assert not [each for each in found if not each.agrees and not each.disturbed]
