"""A sweep's own report, HTML and Markdown: its answer, a row a point and mode, its figures, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from kpsim.experiment.sweeps import Failure, Swept
from kpsim.measure.summary import Estimate
from kpsim.report.figures.canvas import Picture
from kpsim.report.markdown import one_line
from kpsim.report.wording.axis import axis_name
from kpsim.report.wording.quantity import EMPTY, compact, count, estimate, number, rate, unit_of
from kpsim.scenario.model import Threshold

_LATENCIES = (("sync_duration", "p50"), ("network_programming_true", "p99"))
_PACKETS = (("first_packet_latency", "p50"), ("first_packet_latency", "p99"))
_LOOKUPS = (("dns_latency", "p50"), ("dns_latency", "p99"))
_RATES = (("cpu_proxy_cores", "kube-proxy's CPU, cores"), ("full_syncs_per_node_per_s", "full syncs a second"))


@dataclass(frozen=True, slots=True)
class SweepPage:
    """Everything that a sweep's report shows."""

    name: str
    found: Swept
    said: Sequence[str]
    thresholds: Sequence[Threshold]
    pictures: Sequence[Picture] = ()

    def head(self) -> list[str]:
        """Return the heads of :meth:`rows`."""
        measured = [f"{measure.replace('_', ' ')} {statistic}" for measure, statistic in self._columns()]
        failed = ["failed connections"] if self._has_events() else []
        judged = ["objectives"] if self.thresholds else []
        named = [axis_name(axis) for axis in self.found.axes]
        axes = named if len({*named}) == len(named) else self.found.axes
        return [*axes, "mode", *measured, *(head for _, head in _RATES), *failed, *judged, "beside it"]

    def rows(self) -> list[list[str]]:
        """Return a row a point and mode: each value with its interval, and the objectives' verdicts."""
        axes = list(self.found.axes)
        return [
            [*map(_axis_value, key[:-1]), str(key[-1]), *self._cells(part)]
            for key, part in self.found.table.groupby([*axes, "mode"], sort=False)
        ]

    def _columns(self) -> list[tuple[str, str]]:
        asked = [(each.measure, each.statistic) for each in self.thresholds]
        looked_up = (self.found.table["measure"] == "dns_latency").any()
        return list(dict.fromkeys([*asked, *(_LOOKUPS if looked_up else ()), *_PACKETS, *_LATENCIES]))

    def _has_events(self) -> bool:
        return bool((self.found.table["statistic"] == "failed_connections").any())

    def _cells(self, part: pd.DataFrame) -> list[str]:
        rows: list[dict[str, Any]] = part.to_dict("records")  # type: ignore[assignment]  # columns are named by texts
        known = {(row["measure"], row["statistic"]): _estimate(row) for row in rows if not pd.isna(row["value"])}
        cells = [estimate(known[key], unit_of(key[0])) if key in known else EMPTY for key in self._columns()]
        cells += [rate(name, known["node", name]) if ("node", name) in known else EMPTY for name, _ in _RATES]
        if self._has_events():
            lost = [number(_estimate(row)) for row in rows if row["statistic"] == "failed_connections"]
            cells.append("; ".join(lost) or EMPTY)
        verdicts = [f"{row['measure']} {row['objective']}: {row['verdict']}" for row in rows if row["objective"]]
        judged = ["; ".join(verdicts) or EMPTY] if self.thresholds else []
        return [*cells, *judged, rows[0]["marks"] or EMPTY]

    def markdown(self) -> str:
        """Return the report as Markdown."""
        lines = [f"# {one_line(self.name)}: a sweep over {one_line(' and '.join(self.found.axes))}", ""]
        lines += [f"* {one_line(each)}" for each in self.said] + [""] * bool(self.said)
        rows = [self.head(), ["---"] * len(self.head()), *self.rows()]
        lines += ["| " + " | ".join(map(one_line, row)) + " |" for row in rows]
        lines += ["", "Brackets are 95 % intervals of sampling; an objective is judged by prices too.", ""]
        if self.found.failures:
            lines += ["## Points that failed", ""]
            lines += [f"* {one_line(str(each))}\n\n      {each.command}\n" for each in self.found.failures]
        lines += [f"![{one_line(each.title)}](figures/{each.name}.svg)\n" for each in self.pictures]
        return "\n".join(lines).rstrip() + "\n"

    def html(self) -> str:
        """Return the report as one page that needs no network and no scripts."""
        environment = Environment(
            loader=PackageLoader("kpsim.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        figures = [(each, each.data_uri) for each in self.pictures]
        return environment.get_template("sweep.html.j2").render(page=self, figures=figures)

    @property
    def failures(self) -> Sequence[Failure]:
        """Return the points that failed."""
        return self.found.failures

    def write(self, directory: Path) -> None:
        """Write ``report.html``, ``report.md``, ``sweep.csv`` and the figures."""
        self.found.table.to_csv(directory / "sweep.csv", index=False)
        for name, text in (("report.md", self.markdown()), ("report.html", self.html())):
            (directory / name).write_text(text, encoding="utf-8", newline="\n")
        (directory / "figures").mkdir(exist_ok=True)
        for picture in self.pictures:
            picture.write(directory / "figures")


def _estimate(row: Mapping[str, Any]) -> Estimate:
    low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
    return Estimate(float(row["value"]), low, high, bool(row["at_least"]))


def _axis_value(value: object) -> str:
    if isinstance(value, int):
        return count(value)
    return compact(value) if isinstance(value, float) else str(value)
