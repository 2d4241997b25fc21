"""Rows that were measured here become a profile: fitted where they speak, with another's numbers where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kpsim.calibration.records import KERNEL, Record
from kpsim.experiment.bench.commands import moved_costs
from kpsim.experiment.validation.fitting import explained, families, rendered
from kpsim.experiment.validation.prediction import priced
from kpsim.experiment.validation.setups import Unspoken, question
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import SCALE
from kpsim.profiles.terms import coefficients_of, work

SOURCE, ALONG = "bench", "bench-along"
STEADY = 0.25  # share; a largest size that is further off what smaller ones say is told
TIMES = ("ns", "us", "ms", "s")
ELSEWHERE = ("kernelspace",)  # another system's: how fast this host's kernel is says nothing of it
PACKETS = ("udp_first", "udp_established", "tcp_connect")
Row = Mapping[str, Any]
Families = dict[str, dict[str, Any]]
Scatter = Mapping[str, Mapping[str, float]]
Along = frozenset[tuple[str, str]]
MOVED_ALONG = "measured on this host in sums that do not tell it apart; another profile's share of them, moved along"


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured row beside what the fit says of it; ``unseen``: the fit was one of smaller sizes alone."""

    record: Record
    predicted: float
    unseen: bool

    @property
    def ratio(self) -> float:
        """Return predicted over measured."""
        return self.predicted / self.record.measured

    @property
    def is_packet(self) -> bool:
        """Return True for a packet or a connection, False for a command."""
        return self.record.quantity in PACKETS


def records_of(rows: Sequence[Row], column: str = "p50") -> list[Record]:
    """Return measured rows as records, each with the value of one ``column``."""
    return [
        Record(
            f"bench:{n}", "bench", KERNEL, row["quantity"], row["mode"], float(row[column]), row["unit"],
            {key: str(value) for key, value in row.items()},
        )
        for n, row in enumerate(rows, 2)
    ]  # fmt: skip


def fitted(rows: Sequence[Row], base: CostProfile, column: str = "p50") -> tuple[Families, Scatter, Along]:
    """Return coefficients by family, (value, low, high, largest count), and how far rows left out were off.

    Third are those that commands do not tell apart: they are moved along with the others.
    """
    records = records_of(rows, column)
    found, scatter = families(explained(records))
    moved = moved_costs(records, base)
    for family, costs in moved.items():
        found[family] |= {name: (cost.value, cost.low, cost.high, cost.most) for name, cost in costs.items()}
    along = {(family, name) for family, costs in moved.items() for name, cost in costs.items() if not cost.told}
    return found, scatter, frozenset(along)


def compared(rows: Sequence[Row], base: CostProfile) -> list[Compared]:
    """Return times beside what the fit of all says, and those of each mode's largest size beside that of the rest."""
    timed = [row for row in rows if row["quantity"].endswith(".wall") or row["quantity"] in PACKETS]
    largest: dict[tuple[str, bool], int] = {}
    for row in timed:
        kind = row["mode"], row["quantity"] in PACKETS
        largest[kind] = max(largest.get(kind, 0), row["services"])
    is_last = [row["services"] == largest[row["mode"], row["quantity"] in PACKETS] for row in timed]
    last = [row for row, of_largest in zip(timed, is_last, strict=True) if of_largest]
    smaller = [row for row, of_largest in zip(timed, is_last, strict=True) if not of_largest]
    found = [*_beside(timed, fitted(timed, base)[0], unseen=False)]
    return found + ([*_beside(last, fitted(smaller, base)[0], unseen=True)] if smaller else [])


def _beside(rows: Sequence[Row], known: Families, *, unseen: bool) -> Iterator[Compared]:
    """Yield rows with a prediction, where the fit has one."""
    for record in records_of(rows):
        asked = question(record)
        total, whole = 0.0, bool(asked.parts)
        for part in asked.parts:
            costs, done = known.get(part.family, {}), work(part, asked.counts)
            whole = whole and done is not None and all(name in costs for name in done)
            total += sum(count * costs[name][0] for name, count in (done or {}).items() if name in costs)
        if whole and total > 0 and record.measured > 0:
            yield Compared(record, total / asked.scale, unseen)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A host's times over what another profile says, of one kind of rows: the median, and how far 90 % are off."""

    median: float = 1.0
    spread: float = 1.0  # a factor either way

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Ratio:
        """Return the ratio of several; without any, one of one."""
        if not ratios:
            return cls()
        logs = np.log(ratios)
        middle = float(np.median(logs))
        return cls(float(np.exp(middle)), float(np.exp(np.quantile(np.abs(logs - middle), 0.9))))


def against(found: Sequence[Compared], other: CostProfile) -> dict[tuple[str, bool], list[float]]:
    """Return measured times over those that another profile says, by mode and whether it is packets."""
    ratios: dict[tuple[str, bool], list[float]] = {}
    for each in found:
        try:
            asked = question(each.record)
            said = priced(asked, other) / asked.scale
        except Unspoken:
            continue
        if said > 0 and not each.unseen:
            ratios.setdefault((each.record.mode, each.is_packet), []).append(each.record.measured / said)
    return ratios


def command(quantity: str) -> str:
    """Return the command that a row timed, partial updates of any number of Services as one; "" for a packet."""
    stem = "" if quantity in PACKETS else quantity.partition(".")[0]
    return "partial" if stem.startswith("partial_") else stem


def unsteady(found: Sequence[Compared]) -> dict[str, dict[str, float]]:
    """Return by mode the commands whose largest size is far off what smaller ones say, and how far."""
    off: dict[tuple[str, str], list[float]] = {}
    for each in found:
        if each.unseen and not each.is_packet:
            off.setdefault((each.record.mode, command(each.record.quantity)), []).append(abs(each.ratio - 1))
    far: dict[str, dict[str, float]] = {}
    for (mode, name), errors in off.items():
        if (middle := float(np.median(errors))) > STEADY:
            far.setdefault(mode, {})[name] = middle
    return far


def document(
    rows: Sequence[Row],
    beside: Sequence[Compared],
    base: CostProfile,
    name: str,
    about: str,
    machine: Mapping[str, Any],
    says: str,
) -> dict[str, Any]:
    """Return a profile: coefficients of ``rows``, and those of ``base`` where no row speaks of them, marked so.

    What is another machine's is moved to this one by the ratio of what both have, of packets and of commands, so that
    modes that could be measured and others can still be compared.  ``beside`` are the rows beside the fit, and ``says``
    is the source of what was measured, in a sentence.
    """
    mine, scatter, along = fitted(rows, base)
    quiet, *_ = fitted([row for row in rows if row["quantity"] in PACKETS], base, "p10")
    own: Families = {}
    rendered(mine, SOURCE, own)
    for family, cost in along:
        own[family][cost]["source"] = ALONG
    taken = base.text.document()
    ratios = against(beside, base)
    by = {
        packets: Ratio.of([ratio for (_, kind), each in ratios.items() if kind is packets for ratio in each])
        for packets in (True, False)
    }
    there: Families = {
        family: {each: _taken(each, coefficient, family, base.name, by) for each, coefficient in coefficients.items()}
        for family, coefficients in taken["families"].items()
    }
    there.setdefault("iptables-nft", {k: v for k, v in there["iptables-legacy"].items() if "rule" not in k})
    for family, coefficients in own.items():
        known, before = there.setdefault(family, {}), taken["families"].get(family, {})
        for each, coefficient in coefficients.items():
            if each in quiet.get(family, {}):
                _with_quiet(coefficient, quiet[family][each], before.get(each))
            known[each] = coefficient
    wide = {**base.text.scatter, **scatter}
    return {
        "apiVersion": "kpsim/v1alpha1", "kind": "CostProfile", "name": name, "about": about, "machine": machine,
        "sources": {SOURCE: says, **({ALONG: MOVED_ALONG} if along else {}), **_sources(there, base, by)},
        "families": there,
        "variation": taken.get("variation", {}),
        "scatter": {mode: {**base.text.scatter.get(mode, {}), **scatter.get(mode, {})} for mode in wide},
    }  # fmt: skip


def _sources(there: Families, base: CostProfile, by: Mapping[bool, Ratio]) -> dict[str, str]:
    """Return what the sources of everything taken from the other profile say."""
    used = {coefficient["source"] for family in there.values() for coefficient in family.values()}
    moved = (
        f"not measured here, taken from {base.name} and moved: packets take {by[True].median:.2f} times as long here, "
        f"commands {by[False].median:.2f} times, intervals widened by the spread; there:"
    )
    found = {f"{base.name}/{key}": f"{moved} {text}" for key, text in base.sources.items()}
    return {key: text for key, text in {**found, **base.sources}.items() if key in used or key == "assumed"}


def _taken(name: str, coefficient: dict[str, Any], family: str, base: str, by: Mapping[bool, Ratio]) -> dict[str, Any]:
    """Return another profile's coefficient, moved to this machine if it is a time of its kernel."""
    source = coefficient["source"]
    mark = source if source.startswith("assumed") else f"{base}/{source}"
    if coefficient["unit"] not in TIMES or family in ELSEWHERE:
        return {**coefficient, "source": mark}
    ratio = by[name in coefficients_of("udp_", "tcp_")]
    moved: dict[str, Any] = {
        which: [float(f"{x:.4g}") for x in _moved(coefficient[which], ratio)]
        for which in ("both", "quiet", "typical", "cold")
        if which in coefficient
    }
    return {**coefficient, **moved, "source": mark}


def _moved(triple: list[float], ratio: Ratio) -> tuple[float, float, float]:
    value, low, high = (x * ratio.median for x in triple)
    return value, low / ratio.spread, high * ratio.spread


def _with_quiet(mine: dict[str, Any], quiet: tuple[float, float, float, float], other: dict[str, Any] | None) -> None:
    """Add a quiet set, and one for swept caches that is as much dearer as in the other profile."""
    scale = SCALE[mine["unit"]]
    typical = mine.pop("both")
    mine |= {"typical": typical, "quiet": [float(f"{x / scale:.4g}") for x in quiet[:3]]}
    if other and "cold" in other and typical[0]:
        warm = (other.get("typical") or other["both"])[0]
        mine["cold"] = [float(f"{typical[0] * x / warm:.4g}") for x in other["cold"]]
        mine["note"] = (
            "with caches swept: not measured here, as much dearer as in the profile that the rest is taken from"
        )
