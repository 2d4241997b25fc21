"""``spec.profile.scale``: another machine's times, with intervals as wide as scaling was seen to be off."""

from __future__ import annotations

from math import exp
from pathlib import Path

import pytest
import yaml

from kpsim.errors import InputError
from kpsim.experiment.validation.machines import scaling
from kpsim.profiles.costs import load_profile
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.simulation import build_cluster, mode_of, prepare, run_mode

YAML = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: slower}
spec:
  cluster: {nodes: 2, cores: 1}
  services: [{name: web, count: 5, endpoints: 3}]
  changes: {churn: {podReplacementsPerSecond: 0.5}}
  profile: {scale: {cpu: 2}}
  run: {duration: 20s, warmup: 2s, replications: 1}
"""
WIDTHS = Path(__file__).parents[2] / "kpsim" / "profiles" / "scaling.yaml"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "slower.yaml"
    found.write_text(YAML, encoding="utf-8")
    return found


def test_times_are_longer_and_intervals_wider(path: Path) -> None:
    scaled, plain = (mode_of(read(path, over), "iptables")[1] for over in ([], [("profile.scale.cpu", "1")]))
    width = yaml.safe_load(WIDTHS.read_text(encoding="utf-8"))["iptables-legacy"]["half_width"]
    for name, c in plain.coefficients.items():
        moved = scaled.coefficients[name]
        expected = (2 * c.value, 2 * c.low / exp(width), 2 * c.high * exp(width))
        assert (moved.value, moved.low, moved.high) == pytest.approx(expected)
    assert read(path).profile.cpu_scale == 2
    assert "cpu: 2" in write_resolved(read(path))


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_engines_agree_on_a_scaled_machine_whose_syncs_are_longer(mode: str, path: Path) -> None:
    took = []
    for factor in ("2", "1"):
        scenario = read(path, [("profile.scale.cpu", factor), ("kubeProxy.mode", mode)])
        replication = prepare(scenario, build_cluster(scenario)[0], 0)
        batch, reference = (run_mode(replication, mode, engine).proxiers[0].syncs for engine in ("batch", "reference"))
        for name in ("start", "end", "cpu"):
            assert (getattr(batch, name) == getattr(reference, name)).all()
        took.append(int((batch.end - batch.start)[0].min()))
    assert took[0] == pytest.approx(2 * took[1], rel=1e-6)


def test_a_machine_without_time_is_refused(path: Path) -> None:
    path.write_text(YAML.replace("cpu: 2", "cpu: 0"), encoding="utf-8")
    with pytest.raises(InputError, match=r"spec\.profile\.scale\.cpu"):
        read(path)


def test_memory_is_no_slower() -> None:
    profile, of = load_profile("linux-6.18-zen3"), "iptables-legacy/bytes"
    assert profile.scaled(2.0).costs(of, "typical", 1.0).coefficients == profile.costs(of, "typical", 1.0).coefficients


def test_widths_are_those_that_the_tables_say() -> None:
    """As `make profiles` measures them: a profile that was refitted without them is told here."""
    found = scaling(load_profile("linux-6.18-zen3"), "linux-6.18-zen5")
    assert found == yaml.safe_load(WIDTHS.read_text(encoding="utf-8"))
    assert 0.3 < found["all"]["factor"] < 1
