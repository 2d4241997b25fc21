"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 8), "alpha"),
        ((1, 9), "beta"),
        ((1, 11), "generally available"),
        ((1, 34), "the runner without bursts"),
        ((1, 35), "deprecated (KEP-5495)"),
        ((1, 40), "off by default, as planned"),
        ((1, 43), "removed, as planned"),
    ),
    modelled=(
        "virtual and real servers, the 17 ipsets, the chains around them, a sync's processes and netlink calls every "
        "syncPeriod, graceful termination in the rules"
    ),
    left_out=(
        "schedulers that look at connections (modelled as rr), persistence and graceful termination in the engines, "
        "the cost of addresses and entries that come and go"
    ),
)
