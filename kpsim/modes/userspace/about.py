"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 1), "iptables beside it, which becomes the default in 1.2"),
        ((1, 20), "minSyncPeriod, which it shares with iptables, defaults to 1 s instead of 0"),
        ((1, 23), "deprecated, with a warning at the start"),
        ((1, 26), "removed (kubernetes/kubernetes 112133)"),
    ),
    modelled=(
        "portals in iptables as of 1.19 to 1.25, round robin over all endpoints whatever policies say, a process a "
        "rule in every sync, descriptors and ports"
    ),
    left_out=(
        "dials that fail and try the next endpoint, connections accepted one after another, the list shuffled at "
        "each change, session affinity, SCTP (which it cannot listen to)"
    ),
)
