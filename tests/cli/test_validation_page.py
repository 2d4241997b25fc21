"""kpsim validate --out: a page of as much as there is, whatever it is told to look at."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner

import kpsim
from kpsim.cli.validate import validate
from kpsim.profiles.costs import load_profile
from kpsim.profiles.shipped import parse_yaml

HEAD = "kernel,mode,services,endpoints,position,quantity,unit,p50\n"


@pytest.mark.parametrize(("study", "figures"), [("rules", 1), ("end-to-end-zen5", 1), ("kube-proxy-zen5", 3)])
def test_one_study_has_a_page_too(study: str, figures: int, tmp_path: Path) -> None:
    told = CliRunner().invoke(validate, ["--study", study, "--out", str(tmp_path / "page"), "-o", "json"])
    assert told.exit_code == 0, told.output
    assert set(json.loads(told.stdout)) == {"records", "not_predicted"}
    page = (tmp_path / "page" / "report.md").read_text(encoding="utf-8")
    assert page.count("![") == figures == len(list((tmp_path / "page" / "figures").iterdir()))
    assert "## Where studies contradict each other" in page
    assert all(f"| {words}" in page for words in ("18 ns", "146 ns", "40 µs", "500 µs", "550 to 605", "910 rules"))


def test_contradictions_say_what_todays_prices_say() -> None:
    """Crossovers are ranges, told to two or three digits, from the ends of the other mode's interval."""
    text = resources.files("kpsim.calibration").joinpath("contradictions.yaml").read_text(encoding="utf-8")
    rule, restore, ebpf, ipvs = (each["kpsim"] for each in parse_yaml(text))
    profile, old = load_profile("linux-6.18-zen3"), load_profile("linux-4.x-studies")
    iptables, before = (each.costs("iptables-legacy", "typical", 1.0).coefficients for each in (profile, old))
    passed, loaded = iptables["rule_passed"], before["rule_loaded"]

    def rules(mode: str) -> tuple[float, float]:
        first = profile.costs(mode, "typical", 1.0).coefficients["packet_first"]
        low, high = ((each - iptables["packet_first"].value) / passed.value for each in (first.low, first.high))
        return low, high

    assert rule.startswith(f"{passed.value * 1e9:.1f} ns on Linux 6.18, {before['rule_passed'].value * 1e9:.0f} ns")
    assert f"{loaded.value * 1e6:.0f} µs ({loaded.low * 1e6:.0f} to {loaded.high * 1e6:.0f} µs)" in restore
    assert restore.startswith(f"{iptables['rule_loaded'].value * 1e6:.0f} µs on")
    assert rules("ebpf")[0] < 0
    assert f"from none to {round(rules('ebpf')[1], -2):,.0f} rules" in ebpf
    low, high = (round(each, -1) for each in rules("ipvs"))
    assert f"only as a range, {low:,.0f} to {high:,.0f} rules" in ipvs


def test_a_page_of_nothing_but_refusals_says_so(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(HEAD + "6.18,none,10,1,last,udp_first,ns,10000\n", encoding="utf-8")
    told = CliRunner().invoke(validate, [str(mine), "--out", str(tmp_path / "page")])
    assert told.exit_code == 0, told.output
    page = (tmp_path / "page" / "report.md").read_text(encoding="utf-8")
    assert "0 measurements are predicted, 1 are not." in page
    assert "## Not predicted" in page
    assert "<h2>Not predicted</h2>" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")


def test_python_has_the_same_records_scores_and_figures(tmp_path: Path) -> None:
    found = kpsim.validate("end-to-end-zen5")
    assert len(found.frame()) == 9
    assert found.scores()["records"].sum() == 9
    assert found.plot("coverage").svg.startswith("<?xml")
    with pytest.raises(kpsim.InputError, match="there is no figure 'covrage'"):
        found.plot("covrage")
    with pytest.raises(kpsim.InputError, match="nothing to draw of residuals"):
        found.plot("residuals")
    assert "<table>" in found._repr_html_()
    assert found.save(tmp_path).name == "report.md"
