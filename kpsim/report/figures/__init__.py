"""The figures of one result: each says its message in its title, and one with nothing to say is not drawn.

A figure is one module, named as the SVG it writes, with ``headline(result)``, the sentence computed from the data, and
``picture(result)``.  The distribution of a measure is drawn by ``latency``, for each that says how its file is called.
"""

from __future__ import annotations

from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.experiment.result import Result
from kpsim.measure.summary import MEASURES
from kpsim.report.figures import dns, event, latency, network_programming, position, sync
from kpsim.report.figures.canvas import Picture, drawing
from kpsim.report.figures.control import control_plane, duty, stages
from kpsim.report.figures.fit import tornado
from kpsim.report.figures.traffic import imbalance, load

__all__ = ["Picture", "picture_called", "pictures"]

_FIRST = (imbalance.picture,)  # it is drawn only where the scenario asks for it
_FIGURES = (
    *_FIRST,
    dns.picture,
    position.picture,
    network_programming.picture,
    stages.picture,
    tornado.picture,
    event.picture,
    sync.picture,
    duty.picture,
    load.picture,
    control_plane.picture,
)


def pictures(result: Result) -> tuple[Picture, ...]:
    """Draw every figure that has something to say, in the order of a report."""
    with drawing():
        distributions = [latency.picture(result, measure) for measure in MEASURES.values() if measure.drawn]
        drawn = [
            *(draw(result) for draw in _FIRST),
            *distributions,
            *(draw(result) for draw in _FIGURES if draw not in _FIRST),
        ]
    return tuple(picture for picture in drawn if picture is not None)


def picture_called(result: Result, name: str) -> Picture:
    """Draw the figure called ``name``, as its file is.

    Raises :class:`InputError` if there is none of that name, or it has nothing to say about this result.
    """
    measures = {measure.drawn: measure for measure in MEASURES.values() if measure.drawn}
    others = {draw.__module__.rpartition(".")[2]: draw for draw in _FIGURES}
    if name not in measures and name not in others:
        known = sorted([*measures, *others])
        mend = did_you_mean(name, known) or f"there are {', '.join(known)}"
        raise InputError([Problem(Place(), what=f"there is no figure {name!r}", mend=mend)])
    with drawing():
        picture = latency.picture(result, measures[name]) if name in measures else others[name](result)
    if picture is None:
        raise InputError(f"the figure {name!r} has nothing to show of this result: nothing of it was observed")
    return picture
