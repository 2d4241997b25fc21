"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 29), "alpha (KEP-3866)"),
        ((1, 31), "beta, enabled by default"),
        ((1, 33), "generally available; other priorities of the filter chains"),
        ((1, 34), "the runner without bursts"),
    ),
    modelled=(
        "the table with its chains, maps and sets, full and partial transactions, the clean-up after them, start-up "
        "over what the kernel still holds, failure and retry"
    ),
    left_out=("lookups of session affinity in the engines, topology hints, kernels before 5.13"),
)
