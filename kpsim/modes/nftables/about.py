"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 29), "alpha (KEP-3866); everything is written in every sync, and every syncPeriod"),
        ((1, 30), "NodePorts answer at the node's primary address; ClusterIPs without the port reject"),
        ((1, 31), "beta, enabled by default; partial syncs"),
        ((1, 33), "generally available; filters after translation, hourly full syncs, every sync lists all rules"),
        ((1, 34), "the runner without bursts"),
        ((1, 36), "one rule a Service port, endpoint chains for session affinity only"),
    ),
    modelled=(
        "the table with its chains, maps and sets, full and partial transactions, the clean-up after them, start-up "
        "over what the kernel still holds, failure and retry"
    ),
    left_out=("lookups of session affinity in the engines, topology hints, kernels before 5.13"),
)
