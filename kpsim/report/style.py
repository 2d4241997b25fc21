"""Each proxy mode looks the same in every figure and table of every report.

A mode is told by three things at once (colour, marker, dashes), so that it survives a grey printer and every kind of
colour blindness: the colours are Okabe and Ito's, moved apart in lightness.  A mode nobody has heard of gets a look
from its name alone, so that adding a mode needs no edit here.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

Dashes = Literal["-"] | tuple[int, tuple[float, ...]]

INK = "#1a1a1a"  # text and theory
GREY = "#6b6b6b"  # objectives, today's cluster


@dataclass(frozen=True, slots=True)
class ModeStyle:
    """Colour, marker and dash pattern of one mode."""

    color: str
    marker: str
    dashes: Dashes


# Lightness L* in the order given: 54, 31, 70, 63, 71, 70; the three most compared are 16 apart or more.
_PREFERRED = {
    "iptables": ModeStyle("#D55E00", "o", "-"),
    "ipvs": ModeStyle("#004C7D", "s", (0, (5.0, 1.8))),
    "nftables": ModeStyle("#2DBE91", "^", (0, (8.0, 1.6, 1.6, 1.6))),
    "userspace": ModeStyle("#CC79A7", "D", (0, (3.0, 1.4))),
    "kernelspace": ModeStyle("#E69F00", "v", (0, (7.0, 1.4, 1.4, 1.4, 1.4, 1.4))),
    "ebpf": ModeStyle("#56B4E9", "P", (0, (1.6, 1.2))),
}
_COLORS = ("#7A5195", "#8C6D1F", "#4D4D4D", "#A3004F", "#2F6B2F")
_MARKERS = ("X", "h", "<", ">", "p", "*", "d")
_DASHES: tuple[Dashes, ...] = ("-", (0, (5.0, 1.8)), (0, (8.0, 1.6, 1.6, 1.6)), (0, (3.0, 1.4)))


def mode_style(mode: str) -> ModeStyle:
    """Return the look of a mode; one not known by name takes it from a hash of its name, the same in every process."""
    if mode in _PREFERRED:
        return _PREFERRED[mode]
    n = zlib.crc32(mode.encode())
    color, n = _COLORS[n % len(_COLORS)], n // len(_COLORS)
    marker, n = _MARKERS[n % len(_MARKERS)], n // len(_MARKERS)
    return ModeStyle(color, marker, _DASHES[n % len(_DASHES)])
