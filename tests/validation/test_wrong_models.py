"""Models that are wrong on purpose miss the bounds that the shipped one keeps, on the same records.

Each twin is the shipped profile with one mistake of structure: free rules, loads that grow straight, or warm caches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kpsim.experiment.validation.verdicts import Verdict, validate
from kpsim.profiles.costs import load_profile
from kpsim.report.validation.scores import scored, topics

MACHINE, TABLE = "linux-6.18-zen3", "commands-zen3"
Families = dict[str, dict[str, dict[str, Any]]]
PACKETS, UPDATES = "first packets", "rule updates, adds, deletes, lists and first loads"


def without(coefficient: dict[str, Any]) -> None:
    for which in ("both", "typical", "quiet", "cold"):
        if which in coefficient:
            coefficient[which] = [0.0, 0.0, 0.0]


def flat(families: Families) -> None:
    """A rule that is passed costs nothing: iptables is a lookup."""
    without(families["iptables-legacy"]["rule_passed"])


def linear(families: Families) -> None:
    """nft loads objects one by one: no table is searched for names."""
    for name in ("object_loaded_beside_port", "port_loaded_beside_ports"):
        without(families["nftables"][name])


def warm(families: Families) -> None:
    """Every packet finds its rules in the caches."""
    for family in ("iptables-legacy", "iptables-nft", "nftables"):
        mine = families[family]
        for cold in [name for name in mine if name.endswith("_cold")]:
            mine[cold] = {**mine[cold], "unit": mine[cold[:-5]]["unit"]}
            mine[cold]["both"] = mine[cold[:-5]].get("typical", mine[cold[:-5]].get("both"))


TWINS = [
    pytest.param(flat, PACKETS, "iptables-legacy", "udp_first", id="flat iptables"),
    pytest.param(linear, UPDATES, "nftables", "full_load.wall", id="linear nft load"),
    *(pytest.param(warm, PACKETS, mode, "udp_first_cold", id=f"always warm, {mode}")
      for mode in ("iptables-legacy", "iptables-nft", "nftables")),
]  # fmt: skip


def held(profile: str | None, topic: str, mode: str, quantity: str) -> tuple[list[str], list[Verdict]]:
    """Return the bounds that the records of a quantity beyond a hundred Services miss, and their verdicts."""
    (bound,) = (each for each in topics() if each.topic == topic)
    mine = [
        verdict
        for verdict in validate(study=TABLE, profile=profile).verdicts
        if (verdict.record.mode, verdict.record.quantity) == (mode, quantity)
        and verdict.record.number("services") > 100
        and verdict.record.setup["use"] != "disturbed"
    ]
    return [each.split()[0] for each in scored(bound, mode, mine, fitted=False).missed], mine


@pytest.mark.parametrize(("twin", "topic", "mode", "quantity"), TWINS)
def test_a_wrong_model_misses_the_bounds(
    twin: Callable[[Families], None], topic: str, mode: str, quantity: str, tmp_path: Path
) -> None:
    text = load_profile(MACHINE).text.document()
    twin(text["families"])
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(text | {"name": "wrong"}), encoding="utf-8")
    missed, off = held(str(wrong), topic, mode, quantity)
    kept, near = held(None, topic, mode, quantity)
    assert "median" in missed
    assert "median" not in kept
    middles = [float(np.median([abs(verdict.ratio - 1) for verdict in each])) for each in (off, near)]
    assert middles[0] > 3 * middles[1]
