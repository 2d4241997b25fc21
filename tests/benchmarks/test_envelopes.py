"""The commands that users type, as large as they ask for: no more time and memory than MEASURED.md's table has.

CPU time is compared with a unit of work measured beside it, so that neither a slower machine nor a busy one fails; a
third of the rate lost does.  Memory is bounded as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kpsim.experiment.guard import Need
from kpsim.scenario.reader import read
from tests.benchmarks.envelopes import ENVELOPES, FLAGSHIP, LOAD_TEST, Envelope, measure

pytestmark = pytest.mark.benchmark
ESTIMATED, FAR = 1.5, 2.5  # the guard's estimates hold within the first factor, those known to miss it within the other
BEYOND = ("100,000 nodes", "cl2-load-5000")  # of a name
WHY = "syncs are counted as if each took no time: many nodes come out up to twice too large, an hour a third too small"


@pytest.mark.parametrize("envelope", ENVELOPES, ids=lambda envelope: envelope.name)
def test_an_envelope(envelope: Envelope, tmp_path: Path) -> None:
    """The row's command ends well and stays within its time and memory."""
    found = measure(envelope, tmp_path)
    print(
        f"{envelope.name}: {found.wall_s:.1f} s, {found.cpu_s:.1f} CPU s, {found.most_bytes / 1e6:.0f} MB, load "
        f"{found.load:.1f}; {found.units:.0f} units, at most {envelope.most_units:.0f}; target {envelope.target}"
    )
    assert found.code in (0, 99), found.out
    assert envelope.says in found.out
    assert found.most_bytes < envelope.most_bytes
    assert found.units < envelope.most_units


@pytest.mark.parametrize(
    "envelope", [e for e in ENVELOPES if e.file in (FLAGSHIP, LOAD_TEST) and e.jobs == 1], ids=lambda each: each.name
)
def test_an_estimate(envelope: Envelope, tmp_path: Path) -> None:
    """The guard's estimates of time and memory hold within a factor of one and a half, figures and tables apart.

    Those that are known to miss it are expected failures up to a factor of two and a half, and fail beyond.
    """
    bare = Envelope(envelope.name, envelope.sets, "", 0, 0, "", envelope.file, figures=False)
    found = measure(bare, tmp_path)
    need = Need.of(read(Path(bare.file), [(key, value) for key, _, value in (s.partition("=") for s in bare.sets)]))
    print(
        f"{bare.name}: {need.seconds:.1f} s expected, {found.cpu_s:.1f} taken; {need.memory_bytes / 1e6:.0f} MB "
        f"expected, {found.most_bytes / 1e6:.0f} taken"
    )
    off = max(max(ratio, 1 / ratio) for ratio in (need.memory_bytes / found.most_bytes, need.seconds / found.cpu_s))
    if any(name in envelope.name for name in BEYOND):
        assert off < FAR
        if off >= ESTIMATED:
            pytest.xfail(f"{off:.1f} times off: {WHY}")
    assert off < ESTIMATED


if os.name != "posix":
    pytest.skip("memory is read from /proc", allow_module_level=True)
