"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(
        ((1, 2), "the default on Linux"),
        ((1, 24), "KUBE-EXT and KUBE-SVL chains instead of KUBE-XLB"),
        ((1, 25), "KUBE-PROXY-FIREWALL drops what source ranges do not let in, instead of KUBE-MARK-DROP"),
        ((1, 26), "syncs that write only what changed (KEP-3453) in alpha"),
        ((1, 27), "such partial syncs by default, always from 1.28 on"),
        ((1, 29), "externalTrafficPolicy Local holds for a ClusterIP Service's external addresses"),
        ((1, 31), "rules that count localhost NodePorts and INVALID packets; hints without an annotation"),
        ((1, 32), "UDP flows to endpoints that are gone are found by reading the conntrack table"),
        ((1, 33), "metrics with the label ip_family; an hour without a full sync makes the next one full"),
        ((1, 34), "the runner without bursts; large clusters are spared the hourly full sync"),
    ),
    modelled=(
        "chains and rules by version, full and partial syncs, large-cluster mode, failure and retry, the canary, the "
        "xtables lock, Local policies, both IP families' proxiers, the legacy and the nf_tables back end"
    ),
    left_out=(
        "topology hints and a client's affinity in the engines, layouts before 1.23 (in the engines before 1.26)"
    ),
)
