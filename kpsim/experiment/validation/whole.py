"""A fitted profile is made whole: every coefficient that an engine asks for is there, and says where it comes from.

Wall time and CPU time of one thing stand for each other where only one was measured; a swept cache's packet is the one
that was measured; what only running nodes tell comes from the machine where some ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

from kpsim.datapath.prices import BY_TCP
from kpsim.profiles.format import SCALE
from kpsim.profiles.terms import coefficients

TIMED = ("iptables-legacy", "iptables-nft", "nftables")
WATCHING = ("ipvs", "userspace")  # the same kube-proxy, whose watches nobody timed in these modes
SYNC = ("go", "iptables", "save", "list", "restore", "cleanup", "conntrack", "sync")
EVENTS = {  # beside what a sync takes by itself, CPU that only running kube-proxies show
    "change_decoded": "one EndpointSlice of a watch, decoded and filed, its garbage collected",
    "sync_accounted": "one sync's logs, metrics and garbage",
}
AS_CPU = "taken as its CPU time: one process waits for the other"
AS_WALL = "taken as its wall time: it was not timed apart"
AS_LEGACY = "taken as with legacy tables: kube-proxy itself knows no back end"
Families = dict[str, dict[str, Any]]


def completed(families: Families) -> None:
    """Put into ``families`` what engines need of wall or CPU time and no fit tells."""
    for family in TIMED:
        wall, cpu = families[family], families[f"{family}/cpu"]
        _lent(wall, cpu, coefficients(family, SYNC), AS_CPU)
        _lent(cpu, wall, coefficients(family, tuple("go cpu" if part == "go" else part for part in SYNC)), AS_WALL)
        for name in [name for name in wall if f"{name}_cold" in wall]:
            wall[name] = {**wall[name], "cold": _triple(wall[f"{name}_cold"], wall[name]["unit"])}
        for udp, tcp in BY_TCP.items():
            if tcp in wall:
                told = {**wall[tcp], **_as_udp(wall[udp], wall[tcp])}
                wall[tcp] = {key: value for key, value in told.items() if key != "both"}
    mine, other = families["iptables-nft/rss_kb"], families["iptables-legacy/rss_kb"]
    _lent(mine, other, coefficients("iptables-nft", ("memory",)), AS_LEGACY)


def _as_udp(udp: Mapping[str, Any], tcp: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a quiet machine and swept caches make of TCP: the first packet's share, and its extra time."""
    unit, usual = tcp["unit"], tcp["both"]
    by = SCALE[udp["unit"]] / SCALE[unit]
    first = udp.get("typical", udp.get("both"))
    found: dict[str, Any] = {"typical": usual}
    if "quiet" in udp:
        found["quiet"] = [float(f"{x * udp['quiet'][0] / first[0]:.4g}") for x in usual]
    if "cold" in udp:
        more = [cold - first[0] for cold in udp["cold"]]
        found["cold"] = [float(f"{usual[0] + by * x:.4g}") for x in more]
    return found


def with_events(families: Families, other: Families, ratio: tuple[float, float], scaled: str) -> None:
    """Put into ``families`` what running kube-proxies alone show; ``other`` is the other machine's, with more of it."""
    for name, note in EVENTS.items():
        mine, theirs = (each["iptables-legacy/cpu"].get(name) for each in (families, other))
        told = mine or (_moved(theirs, ratio, scaled) if theirs else None)
        if told is None:
            continue
        for family in TIMED:
            families[f"{family}/cpu"][name] = {**told, "note": note}
        for family in WATCHING:
            as_there = {key: value for key, value in told.items() if key != "measured_to"}
            families[f"{family}/cpu"][name] = {**as_there, "note": note, "source": "events-as-iptables"}


def _lent(mine: dict[str, Any], others: Mapping[str, Any], names: frozenset[str], note: str) -> None:
    """Take coefficients from the other kind of time where ``mine`` has none."""
    for name in sorted(names - mine.keys() & others.keys()):
        lent = {key: value for key, value in others[name].items() if key != "note"}
        said = others[name].get("note", "")
        mine[name] = {**lent, "note": f"{said}; {note}" if said else note}


def _triple(coefficient: Mapping[str, Any], unit: str) -> list[float]:
    """Return a coefficient's value and interval in ``unit``."""
    by = SCALE[coefficient["unit"]] / SCALE[unit]
    return [float(f"{x * by:.4g}") for x in coefficient["both"]]


def _moved(told: Mapping[str, Any], ratio: tuple[float, float], scaled: str) -> dict[str, Any]:
    """Return the cost of an event on the other machine, scaled."""
    by, spread = ratio[0], exp(ratio[1])
    value, low, high = told["both"]
    both = [float(f"{x:.4g}") for x in (by * value, by * low / spread, by * high * spread)]
    return {"unit": told["unit"], "both": both, "source": scaled}
