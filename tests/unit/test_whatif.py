"""What would be otherwise is told from the run, or as the command that computes it; assumptions are those that bear."""

from __future__ import annotations

import dataclasses
import shlex

from click.testing import CliRunner

from kpsim.cli import _kpsim
from kpsim.history.events import Rollout
from kpsim.profiles.shipped import assumptions
from kpsim.report.answers.whatif import whatifs
from kpsim.report.wording.relevant import _ABOUT, apart
from tests.report_fixture import make_result


def test_modes_that_ran_are_told_and_the_others_are_commands() -> None:
    rows = {asked: (then, command) for asked, then, command in whatifs(make_result())}
    then, command = rows["ipvs instead of iptables"]
    assert not command
    assert "first packets" in then
    assert "nftables is the alternative" in then
    assert rows["nftables instead of iptables"][1].endswith("--modes iptables,nftables")
    assert "a full sync takes 3.09 s instead of 1.59 s" in rows["twice the Services, 20,000 of the same mix"][0]


def test_each_command_is_one_that_the_command_line_has() -> None:
    result = make_result()
    scenario = dataclasses.replace(result.scenario, events=(Rollout(10.0, "default/web-0"),), thresholds=())
    result = dataclasses.replace(
        result, scenario=scenario, provenance={"command": "kpsim run 'my file.yaml' --set a=b"}
    )
    commands = [command for _, _, command in whatifs(result) if command]
    assert len(commands) >= 4
    for command in commands:
        program, verb, *rest = shlex.split(command)
        assert program == "kpsim"
        assert "my file.yaml" in rest
        help_text = CliRunner().invoke(_kpsim, [verb, "--help"]).output
        assert all(word in help_text for word in rest if word.startswith("--"))


def test_assumptions_bear_on_what_a_scenario_uses() -> None:
    known = assumptions()
    assert set(_ABOUT) <= {name for name, _ in known}
    result = make_result(["iptables"])
    bears, others = apart(known, result.scenario)
    assert {"A1", "A9", "A10"} <= {name for name, _ in bears}
    assert {"A11", "A17", "A30", "A36"} <= {name for name, _ in others}
    assert sorted([*bears, *others]) == sorted(known)
