"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 8), "first on Windows Server 1709"),
        ((1, 14), "Windows nodes generally available; overlay networks and direct server return in alpha"),
        ((1, 20), "externalTrafficPolicy: Local, by direct server return; overlay networks in beta"),
        ((1, 24), "a sync lists HNS once instead of for each endpoint"),
        ((1, 27), "internalTrafficPolicy: Local (and in later patches of 1.24 to 1.26)"),
        ((1, 31), "load balancers changed in place, where Windows can (Server 2025)"),
        ((1, 33), "direct server return in beta, allowed without a feature gate"),
        ((1, 34), "overlay networks and direct server return generally available; the runner without bursts"),
    ),
    modelled=(
        "load balancers and HNS endpoints as of 1.31, a sync every syncPeriod in all releases, its HNS calls, no "
        "answer where nobody serves"
    ),
    left_out=(
        "the lists for each endpoint before 1.24, the annotations preserve-destination and winProxyOptimization, the "
        "moment between deleting and creating a load balancer, HNS' failures"
    ),
)
