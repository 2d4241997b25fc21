"""Results of searches: a limit with what ends it, and a knob with the value to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpsim.api.results import paper_of
from kpsim.experiment.searches.limit import LimitFound
from kpsim.experiment.searches.tune import Tuned
from kpsim.measure.summary import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from kpsim.report.figures.canvas import Paper


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Limit:
    """The largest value of an axis that meets the objectives, mode by mode; ``found`` holds every probe and limit."""

    found: LimitFound

    @property
    def largest(self) -> Mapping[str, Estimate | None]:
        """Return the value and its 95 % interval, by mode; ``None`` where no value meets the objectives."""
        return {each.mode: each.largest for each in self.found.modes}

    @property
    def answer(self) -> tuple[str, ...]:
        """Return a sentence a mode, then how it was looked for."""
        from kpsim.report.searches.limit import sentences

        return sentences(self.found)

    def frame(self) -> pd.DataFrame:
        """Return a row a probe, mode and quantity: the axis, mode, measure, statistic, value, low, high, unit.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__replications=2, compare__modes=["iptables"])
        >>> hello.limit("cluster.nodes", "sync_duration.mean < 1s", within=(1, 8)).frame()["cluster.nodes"].tolist()
        [2.0, 8.0]
        """
        from kpsim.report.searches.limit import frame

        return frame(self.found)

    def plot(self) -> Paper:
        """Return the figure: probes, the objective, and where each mode crosses it.

        Raises :class:`InputError` where nothing was simulated.
        """
        from kpsim.report.figures.searches.limit import limit_picture

        return paper_of(limit_picture(self.found), "limit")

    def to_dict(self) -> dict[str, object]:
        """Return the document of ``limit.json``: plain data, ready for ``json.dumps``."""
        from kpsim.report.searches.limit import document

        return document(self.found)

    def __repr__(self) -> str:
        from kpsim.report.searches.limit import ends

        return f"<Limit of {self.found.scenario.name}: {ends(self.found)}>"

    def _repr_html_(self) -> str:
        from kpsim.report.notebook.cells import sentences_cell, table_cell
        from kpsim.report.searches.limit import probe_head, probe_rows

        return sentences_cell(self.answer) + table_cell(probe_head(self.found), probe_rows(self.found))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Tune:
    """A knob's values with what each gains and costs; ``found`` holds them all, ``chosen`` is the one to take."""

    found: Tuned

    @property
    def chosen(self) -> str:
        """Return the value to take, as YAML writes it."""
        return self.found.chosen.written

    @property
    def answer(self) -> tuple[str, ...]:
        """Return what to take and why, the knob's floor, and how it was looked for."""
        from kpsim.report.searches.tune import sentences

        return sentences(self.found)

    @property
    def configuration(self) -> str:
        """Return the YAML to paste."""
        from kpsim.report.searches.tune import to_paste

        return to_paste(self.found)[1]

    def frame(self) -> pd.DataFrame:
        """Return a row a value and quantity: the knob, read_as, mode, measure, statistic, value, low, high, unit.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__replications=2, compare__modes=["iptables"])
        >>> hello.tune("qps", "10", against=["sync_duration.mean", "cpu_proxy_cores"]).frame()["qps"].unique().tolist()
        ['10', '20']
        """
        from kpsim.report.searches.tune import frame

        return frame(self.found)

    def plot(self) -> Paper:
        """Return the figure: the front of the two measures.

        Raises :class:`InputError` where fewer than two values have both.
        """
        from kpsim.report.figures.searches.pareto import pareto_picture

        return paper_of(pareto_picture(self.found), "pareto")

    def to_dict(self) -> dict[str, object]:
        """Return the document of ``tune.json``: plain data, ready for ``json.dumps``."""
        from kpsim.report.searches.tune import document

        return document(self.found)

    def __repr__(self) -> str:
        return f"<Tune of {self.found.scenario.name}: {self.found.knob.name} {self.chosen} with {self.found.mode}>"

    def _repr_html_(self) -> str:
        from kpsim.report.notebook.cells import sentences_cell, table_cell
        from kpsim.report.searches.tune import head, rows

        return sentences_cell(self.answer) + table_cell(head(self.found), rows(self.found))
