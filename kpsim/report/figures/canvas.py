"""A sheet of paper for one figure: message on top, key below it, panels under both, and the same bytes every time.

Margins are worked out from the number of lines above the panels instead of by matplotlib's layout engines, which
measure all text several times over.  Text is drawn as outlines of the font that matplotlib carries, so that nothing is
cut or shifted on a machine with other fonts; matplotlib notes each text in a comment, so a diff still reads.
"""

from __future__ import annotations

import html
import io
import math
import re
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from kpsim.errors import inert
from kpsim.report.style import GREY, INK
from kpsim.report.wording.quantity import compact, glued
from kpsim.units import F64

_RC: Any = {
    "svg.hashsalt": "kpsim",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a "$" in a name is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "path.simplify_threshold": 0.25,
}
_BETWEEN = 0.5  # of a panel's width, between two
_WIDTH, _HEIGHT = 6.2, 4.0  # inches; so narrow that its text is read on a phone, at half its width
_TITLE_CHARS = 64
_DOTTED = (0, (1.2, 1.8))
_SAFE = " :/=;,'-.!?*+$@~[]{}|^_"  # in an address of data, within an attribute in double quotes
_PLACES = re.compile(r'(\s(?:d|x|y|points)=")([^"]*)"')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_ACROSS, _UP = 0.1, 0.075  # of an axis that a label takes
LEFT = 0.86  # inches beside the panels, for the numbers of an axis
_BESIDE, _DIGIT = 0.37, 0.083  # inches for an axis' name and ticks, and for each character of its numbers
_LOCK = threading.Lock()


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with kpsim's settings and give matplotlib's own back; they are global, so one thread draws at a time."""
    with _LOCK, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


class Paper(Figure):
    """A Matplotlib figure that a notebook shows as the report does, by its SVG."""

    svg = ""

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished figure: file stem, the message, a text for those who do not see it, how to read it, and the SVG.

    ``paper`` is the figure that the SVG was made of.
    """

    name: str
    title: str
    alt: str
    note: str
    svg: str
    paper: Paper | None = field(default=None, compare=False, repr=False)

    @property
    def data_uri(self) -> str:
        """Return the SVG as the address of an image inside a page: without its comments, and shorter than in base64.

        Nothing in it ends an attribute in double quotes, or is an entity.
        """
        bare = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", self.svg, flags=re.DOTALL)
        bare = re.sub(r"\s*\n\s*", " ", re.sub(r">\s+<", "><", bare))
        bare = re.sub(r' style="[^"]*"', lambda style: style[0].replace(": ", ":").replace("; ", ";"), bare)
        bare = re.sub(r"=\"([^\"']*)\"", r"='\1'", bare)
        return f"data:image/svg+xml,{quote(bare, safe=_SAFE)}"

    def write(self, directory: Path) -> Path:
        """Write ``<name>.svg`` into ``directory``."""
        path = directory / f"{self.name}.svg"
        path.write_text(self.svg, encoding="utf-8", newline="\n")
        return path


class Sheet:
    """A figure being drawn."""

    def __init__(self, name: str, title: str, panels: int = 1, left: float = LEFT, height: float = _HEIGHT) -> None:
        self.name, self._left, self._height = name, left, height
        self.title = title
        self.figure = Paper(figsize=(_WIDTH, height))
        self.axes: list[Axes] = [self.figure.add_subplot(1, panels, i + 1) for i in range(panels)]
        self._keys: list[tuple[Artist, str]] = []
        self._marks = 0

    @property
    def keys(self) -> tuple[tuple[Artist, str], ...]:
        """Return what the key says so far."""
        return tuple(self._keys)

    def key(self, artist: Artist, text: str) -> None:
        """Say in the key what ``artist`` stands for."""
        self._keys.append((artist, text))

    def mark_x(self, axes: Axes, value: float, text: str) -> None:
        """Draw a dotted upright line at ``value`` and name it above the panel, where no curve runs."""
        axes.axvline(value, color=GREY, linewidth=1.2, linestyle=_DOTTED, zorder=1)
        across = axes.transAxes.inverted().transform(axes.transData.transform((value, axes.get_ylim()[1])))[0]
        align = "left" if across < 0.2 else "right" if across > 0.8 else "center"
        axes.annotate(
            text, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2 + 13 * self._marks),
            textcoords="offset points", ha=align, va="bottom", size=9.5, color=GREY,
        )  # fmt: skip
        self._marks += 1

    def mark_y(self, axes: Axes, value: float, text: str) -> None:
        """Draw a dotted level line at ``value`` and name it in the key."""
        self.key(axes.axhline(value, color=GREY, linewidth=1.2, linestyle=_DOTTED, zorder=1), text)

    def _arrange(self) -> None:
        lines = _balanced(self.title)
        columns, rows = self._key_shape()
        height = self._height + 0.2 * max(0, rows + len(lines) + self._marks - 3)
        self.figure.set_size_inches(_WIDTH, height)
        below_title = height - 0.12 - 0.22 * len(lines)
        panels_top = below_title - 0.2 - 0.2 * rows - 0.18 * self._marks
        self.figure.subplots_adjust(
            left=self._beside() / _WIDTH,
            right=1 - 0.34 / _WIDTH,
            bottom=0.58 / height,
            top=panels_top / height,
            wspace=_BETWEEN,
        )
        self.figure.text(
            0.14 / _WIDTH,
            1 - 0.12 / height,
            "\n".join(lines),
            size=11.5,
            weight="bold",
            color=INK,
            va="top",
            linespacing=1.25,
        )
        if self._keys:
            self.figure.legend(
                [artist for artist, _ in self._keys],
                [text for _, text in self._keys],
                loc="upper left",
                bbox_to_anchor=(0.14 / _WIDTH, below_title / height),
                ncols=columns,
                frameon=False,
                fontsize=10,
                labelspacing=0.3,
                borderpad=0.1,
                borderaxespad=0.0,
                columnspacing=1.3,
                handlelength=2.4,
                numpoints=1,
            )

    def _beside(self) -> float:
        """Return the inches beside the panels: more than usual where an axis has long numbers, "10,000 s"."""
        if self._left != LEFT:
            return self._left
        axis = self.axes[0].yaxis
        low, high = sorted(axis.get_view_interval())
        texts = axis.get_major_formatter().format_ticks([at for at in axis.get_majorticklocs() if low <= at <= high])
        return max([LEFT, *(_BESIDE + _DIGIT * len(text) for text in texts)])

    def _key_shape(self) -> tuple[int, int]:
        if not self._keys:
            return 1, 0
        longest = max(len(text) for _, text in self._keys)
        columns = max(1, min(len(self._keys), int((_WIDTH - 0.1) / (0.62 + 0.067 * longest))))
        return columns, math.ceil(len(self._keys) / columns)

    def picture(self, alt: str, note: str) -> Picture:
        """Arrange, render and name the figure; names of others in it are drawn as text, whatever they hold."""
        self.title = inert(self.title)
        for text in self.figure.findobj(Text):
            if not text.get_text().isprintable():
                text.set_text(inert(text.get_text()))
        self._arrange()
        buffer = io.StringIO()
        self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "kpsim", "Title": self.title})
        self.figure.svg = inert(_with_title(_rounded(buffer.getvalue()), self.title))
        return Picture(self.name, self.title, f"{self.title}. {alt}", note, self.figure.svg, self.figure)


def _balanced(title: str) -> list[str]:
    """Break a title into as few lines as it needs, of about the same length."""
    title = glued(title)
    lines = textwrap.wrap(title, _TITLE_CHARS, break_on_hyphens=False)
    rows = len(lines)
    for width in range(_TITLE_CHARS - 1, _TITLE_CHARS // 3, -1):
        narrower = textwrap.wrap(title, width, break_on_hyphens=False)
        if len(narrower) > rows:
            break
        lines = narrower
    return lines


def _rounded(svg: str) -> str:
    """Return an SVG with its places to a hundredth of a point, which nobody sees."""

    def shorter(found: re.Match[str]) -> str:
        return f'{found[1]}{_LONG.sub(lambda n: f"{float(n[0]):.2f}".rstrip("0").rstrip("."), found[2])}"'

    return _PLACES.sub(shorter, svg)


def _with_title(svg: str, title: str) -> str:
    head, tag, rest = svg.partition("<svg ")
    attributes, _, body = rest.partition(">")
    return f'{head}{tag}role="img" {attributes}>\n <title>{html.escape(title)}</title>{body}'


def log_ticks(axis: Axis, low: float, high: float, unit: str = "") -> None:
    """Put an axis on a log scale from ``low`` to ``high`` and label round values, each with its own SI prefix."""
    axes = axis.axes
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    (axes.set_xlim if axis is axes.xaxis else axes.set_ylim)(low, high)
    decades = math.log10(high / low)
    ticks = _round_values(low, high, (1.0,) if decades > 3.2 else (1.0, 3.0) if decades > 1.8 else (1.0, 2.0, 5.0))
    if len(ticks) < 3:
        ticks = _round_values(low, high, tuple(float(step) for step in range(1, 10)))
    if len(ticks) < 3:
        ticks = np.asarray([t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high])
    across = axis is axes.xaxis
    panels = len(axes.figure.axes)
    room = (_ACROSS * (panels + _BETWEEN * (panels - 1)) if across else _UP) * decades
    axis.set_major_locator(FixedLocator(_apart(ticks, room)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value, unit)))
    axis.set_minor_locator(LogLocator(subs=np.arange(2, 10).tolist(), numticks=30) if decades > 0.9 else NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _apart(ticks: F64, room: float) -> list[float]:
    """Return the ticks whose labels do not run into one another: ``room`` decades apart."""
    kept: list[float] = []
    for tick in ticks.tolist():
        if not kept or math.log10(tick / kept[-1]) >= room:
            kept.append(tick)
    return kept


def _round_values(low: float, high: float, steps: tuple[float, ...]) -> F64:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = np.asarray([step * 10.0**power for power in powers for step in steps])
    return values[(values >= low * 0.999) & (values <= high * 1.001)]
