"""Rows that were measured here become a profile: fitted where they speak, with another's numbers where they do not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kpsim.calibration.records import KERNEL, Record
from kpsim.calibration.terms import work
from kpsim.experiment.validation.fitting import explained, families, rendered
from kpsim.experiment.validation.setups import question
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.format import SCALE

SOURCE = "bench"
PACKETS = ("udp_first", "udp_established", "tcp_connect")
Row = Mapping[str, Any]
Families = dict[str, dict[str, Any]]
Scatter = Mapping[str, Mapping[str, float]]


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


def fitted(rows: Sequence[Row], column: str = "p50") -> tuple[Families, Scatter]:
    """Return coefficients by family, (value, low, high, largest count), and how far rows left out were off."""
    return families(explained(records_of(rows, column)))


def compared(rows: Sequence[Row]) -> list[Compared]:
    """Return times beside what the fit of all says, and those of each mode's largest size beside that of the rest."""
    timed = [row for row in rows if row["quantity"].endswith(".wall") or row["quantity"] in PACKETS]
    largest: dict[tuple[str, bool], int] = {}
    for row in timed:
        kind = row["mode"], row["quantity"] in PACKETS
        largest[kind] = max(largest.get(kind, 0), row["services"])
    last = [row for row in timed if row["services"] == largest[row["mode"], row["quantity"] in PACKETS]]
    smaller = [row for row in timed if row not in last]
    found = [*_beside(timed, fitted(timed)[0], unseen=False)]
    return found + ([*_beside(last, fitted(smaller)[0], unseen=True)] if smaller else [])


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


def document(rows: Sequence[Row], base: CostProfile, name: str, about: str, says: str) -> dict[str, Any]:
    """Return a profile: coefficients of ``rows``, and those of ``base`` where no row speaks of them, marked so.

    ``says`` is the source of what was measured, in a sentence.
    """
    mine, scatter = fitted(rows)
    quiet, _ = fitted([row for row in rows if row["quantity"] in PACKETS], "p10")
    own: Families = {}
    rendered(mine, SOURCE, own)
    taken = base.text.model_dump(exclude_none=True, exclude_defaults=True)
    there: Families = {
        family: {each: _taken(coefficient, base.name) for each, coefficient in coefficients.items()}
        for family, coefficients in taken["families"].items()
    }
    there.setdefault("iptables-nft", {k: v for k, v in there["iptables-legacy"].items() if "rule" not in k})
    for family, coefficients in own.items():
        known = there.setdefault(family, {})
        for each, coefficient in coefficients.items():
            if each in quiet.get(family, {}):
                _with_quiet(coefficient, quiet[family][each], known.get(each))
            known[each] = coefficient
    used = {coefficient["source"] for family in there.values() for coefficient in family.values()}
    sources = {
        f"{base.name}/{key}": f"taken from {base.name}, where it says: {text}" for key, text in base.sources.items()
    }
    wide = {**base.text.scatter, **scatter}
    return {
        "apiVersion": "kpsim/v1alpha1", "kind": "CostProfile", "name": name, "about": about,
        "sources": {SOURCE: says, **{key: text for key, text in sources.items() if key in used}, **_assumed(base)},
        "families": there, "variation": taken.get("variation", {}),
        "scatter": {mode: {**base.text.scatter.get(mode, {}), **scatter.get(mode, {})} for mode in wide},
    }  # fmt: skip


def _assumed(base: CostProfile) -> dict[str, str]:
    return {key: text for key, text in base.sources.items() if key.startswith("assumed")}


def _taken(coefficient: dict[str, Any], base: str) -> dict[str, Any]:
    source = coefficient["source"]
    return {**coefficient, "source": source if source.startswith("assumed") else f"{base}/{source}"}


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


def unmeasured(found: Mapping[str, Any], families_used: Collection[str]) -> list[str]:
    """Return the names of ``families_used`` that a profile's document has from elsewhere, as "family.name"."""
    return [
        f"{family}.{name}"
        for family in families_used
        for name, coefficient in found["families"].get(family, {}).items()
        if coefficient["source"] != SOURCE
    ]
