"""Results of a scenario's verbs: sentences, tidy tables, and the report's own figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.experiment import result as found_in
from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.answers.waits import Wait
from kpsim.measure.summary import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from kpsim.report.figures.canvas import Paper, Picture

Named = TypeVar("Named")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Result:
    """Everything that a run found; in a notebook the answer and a table.

    ``found`` holds it by name: ``found.modes["ipvs"].summaries["sync_duration"].quantiles["p99"].value`` [s].

    >>> import kpsim
    >>> kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run()
    <Result of hello: no objectives, iptables and ipvs>
    """

    found: found_in.Result

    @property
    def passed(self) -> bool | None:
        """Return True if every objective is met, False if one failed, and ``None`` if one is undecided instead."""
        return self.found.passed

    @property
    def answer(self) -> tuple[str, ...]:
        """Return the answer to the scenario's question, its other ones, the headroom and the change, in sentences."""
        from kpsim.report.verdict import answer

        return answer(self.found).sentences

    def estimate(self, measure: str, statistic: str = "p99", mode: str | None = None) -> Estimate | None:
        """Return one number with its 95 % interval, in the measure's SI unit; ``None`` where the sample is too small.

        Without ``mode`` the first.  Raises :class:`InputError` for a measure or mode that is not there.

        >>> import kpsim
        >>> result = kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run()
        >>> result.estimate("sync_duration", "mean", "ipvs").value < 1.0
        True
        """
        modes = self.found.modes
        chosen = one_of(modes, mode or next(iter(modes)), "mode")
        return one_of(chosen.summaries, measure, "measure").statistic(statistic)

    def frame(self) -> pd.DataFrame:
        """Return a tidy table: mode, measure, statistic, value, low, high, unit.

        ``low`` and ``high`` are the 95 % interval; ``high`` is infinite where the value is a lower bound.

        >>> import kpsim
        >>> table = kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run().frame()
        >>> list(table.columns)
        ['mode', 'measure', 'statistic', 'value', 'low', 'high', 'unit']
        """
        from kpsim.report.notebook.frames import result_frame

        return result_frame(self.found)

    def plot(self, name: str = "latency") -> Paper:
        """Return a figure of the report, by the name of its file: a Matplotlib figure that a notebook shows.

        Raises :class:`InputError` if there is none of that name, or it has nothing to show.

        >>> import kpsim
        >>> kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run().plot("latency").axes[0].get_xscale()
        'log'
        """
        from kpsim.report.figures import picture_called

        return paper_of(picture_called(self.found, name), name)

    def summary(self) -> str:
        """Return the text that ``kpsim run`` prints."""
        from kpsim.report.terminal import summary_text

        return summary_text(self.found)

    def to_dict(self) -> dict[str, object]:
        """Return the document of ``summary.json``: plain data, ready for ``json.dumps``."""
        from kpsim.report.tables import summary_document

        return summary_document(self.found)

    def save(self, directory: str | Path) -> Path:
        """Write report, tables, figures and manifest into ``directory``, as ``kpsim run --out`` does; return it.

        Raises :class:`InputError` if something else stands there or it cannot be written.
        """
        from kpsim.experiment.directory import staged, write_manifest
        from kpsim.report.directory import write_report

        with staged(Path(directory)) as place:
            write_report(self.found, place)
            write_manifest(self.found, place)
        return Path(directory)

    def __repr__(self) -> str:
        failed = sum(verdict.passed is False for verdict in self.found.verdicts)
        unclear = sum(verdict.passed is None for verdict in self.found.verdicts)
        judged = f"{failed} of {len(self.found.verdicts)} objectives failed" + (
            f", {unclear} undecided" if unclear else ""
        )
        said = judged if self.found.verdicts else "no objectives"
        incomplete = "" if self.found.complete else ", incomplete"
        return f"<Result of {self.found.scenario.name}: {said}, {' and '.join(self.found.modes)}{incomplete}>"

    def _repr_html_(self) -> str:
        from kpsim.report.notebook.cells import result_cell

        return result_cell(self.found)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Sweep:
    """A grid of scenarios, run: a column an axis, then mode, measure, statistic, value, low, high, n, at_least."""

    name: str
    table: pd.DataFrame

    @property
    def axes(self) -> list[str]:
        """Return the columns that were swept over."""
        from kpsim.experiment.sweeps import COLUMNS

        return [column for column in self.table.columns if column not in COLUMNS]

    def frame(self) -> pd.DataFrame:
        """Return the tidy table.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__engine="batch", run__replications=2)
        >>> hello.sweep(cluster__nodes=[1, 2]).frame().columns[0]
        'cluster.nodes'
        """
        return self.table

    def plot(self, measure: str = "first_packet_latency", axis: str | None = None) -> Paper:
        """Return p50 and p99 of a measure against an axis, by default the first with numbers.

        Raises :class:`InputError` where there are not two sizes to draw.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__engine="batch", run__replications=2)
        >>> hello.sweep(cluster__nodes=[1, 2]).plot("sync_duration").axes[0].get_xlabel()
        'nodes (log scale)'
        """
        from kpsim.report.figures.scale import scale_picture
        from kpsim.report.wording.axis import axis_name

        chosen = axis or next(iter(self.axes))
        one_of({each: each for each in self.axes}, chosen, "axis")
        return paper_of(scale_picture(self.table, chosen, measure, name=axis_name(chosen)), measure)

    def __repr__(self) -> str:
        points = len(self.table[self.axes].drop_duplicates())
        return f"<Sweep of {self.name}: {points:,} points, over {' and '.join(self.axes)}>"

    def _repr_html_(self) -> str:
        from kpsim.report.notebook.cells import sentences_cell

        table: str = self.table.to_html(max_rows=20, index=False)
        return sentences_cell([repr(self)[1:-1]]) + table


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Check:
    """Every limit and its use, and how long creation takes; nothing was simulated."""

    name: str
    limits: tuple[Limit, ...]  # the fullest first
    waits: tuple[Wait, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def exceeded(self) -> tuple[Limit, ...]:
        """Return the limits of which more than all is used."""
        return tuple(limit for limit in self.limits if limit.share > 1)

    def frame(self) -> pd.DataFrame:
        """Return a row a limit: name, kind (hard or soft), used, limit, share, unit, source.

        >>> import kpsim
        >>> limits = kpsim.load("scenarios/hello.yaml").check().frame()
        >>> bool(limits["share"].is_monotonic_decreasing)
        True
        """
        from kpsim.report.notebook.frames import limits_frame

        return limits_frame(self.limits)

    def __repr__(self) -> str:
        exceeded, nearest = len(self.exceeded), self.limits[0]
        said = f"{exceeded} limit{'' if exceeded == 1 else 's'} exceeded"
        return f"<Check of {self.name}: {said}, nearest is {nearest.name} with {nearest.share:.0%} used>".replace(
            "%", " %"
        )

    def _repr_html_(self) -> str:
        from kpsim.report.grid import limit_cells
        from kpsim.report.notebook.cells import sentences_cell, table_cell

        rows = [limit_cells(limit) for limit in self.limits]
        return sentences_cell([repr(self)[1:-1]]) + table_cell(["limit", "used", "of", "room", "source"], rows)


def one_of(known: Mapping[str, Named], name: str, noun: str) -> Named:
    """Return what is called ``name``.  Raises :class:`InputError` if nothing is."""
    if name not in known:
        mend = did_you_mean(name, list(known)) or f"there are {', '.join(known)}"
        raise InputError([Problem(Place(), what=f"there is no {noun} {name!r}", mend=mend)])
    return known[name]


def paper_of(picture: Picture | None, name: str) -> Paper:
    """Return a picture's figure.  Raises :class:`InputError` where there is none."""
    if picture is None or picture.paper is None:
        raise InputError(f"there is nothing to draw of {name}")
    return picture.paper
