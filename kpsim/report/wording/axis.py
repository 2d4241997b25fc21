"""An axis that is searched or swept, in words: the things it counts, or else its key."""

from __future__ import annotations

import re

from kpsim.report.wording.quantity import compact

_COUNTED = re.compile(r"services\..+\.count|cluster\.nodes|services\..+\.endpoints")
_NOUNS = {"count": "Services", "nodes": "nodes", "endpoints": "endpoints a Service"}


def axis_name(axis: str) -> str:
    """Return the noun of the things that an axis counts: "Services"; the axis itself where it counts nothing."""
    return _NOUNS[axis.rpartition(".")[2]] if _COUNTED.fullmatch(axis) else axis


def place(axis: str, value: float) -> str:
    """Return a value of an axis: "3,344 Services", "1 node", "kubeProxy.syncPeriod 30".

    >>> place("services.web.count", 3344), place("cluster.nodes", 1), place("traffic.rate", 50.0)
    ('3,344 Services', '1 node', 'traffic.rate 50')
    """
    noun = axis_name(axis)
    if noun == axis:
        return f"{axis} {compact(value)}"
    counted, space, of = noun.partition(" ")
    return f"{compact(value)} {counted.removesuffix('s') if value == 1 else counted}{space}{of}"
