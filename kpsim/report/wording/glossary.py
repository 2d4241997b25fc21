"""Words a reader of a report may not know, and what no run of kpsim looks at."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("95 % interval", "Numbers in brackets: repeated runs of this model would put the value there 19 times in 20."),
    (
        "at least",
        "Too much was unfinished when the run was over to say more: only how long it had taken by then is known.",
    ),
    ("conntrack", "The kernel's table of connections. Only a connection's first packet meets the Service rules."),
    ("cost profile", "Measured costs of single steps (a rule passed over, a line restored), with unit and source."),
    (
        "EndpointSlice",
        "The API object that lists a Service's endpoints, by default 100 at most; kube-proxy watches it.",
    ),
    ("extrapolated", "Computed beyond the largest size at which a cost was measured."),
    ("full and partial sync", "kube-proxy writes all rules, or only those of Services that changed."),
    ("knee", "The load at which a core is fully used; beyond it, waiting grows without end."),
    (
        "network programming latency",
        "From a change, such as a Pod becoming ready, to the rules in force on a node.",
    ),
    (
        "as kube-proxy reports it",
        "The same from a time stamp in whole seconds; the oldest change of a batch counts, and deletions do not.",
    ),
    ("p50, p90, p99", "The value that 50, 90 or 99 of 100 observations do not exceed."),
    ("paired difference", "Both modes saw the same connections and changes; only the mode differs."),
    ("position", "How many rules a packet passes before its Service's own, where a mode scans a list."),
    ("soft limit", "A size up to which Kubernetes' scalability group tests; a hard limit refuses to go further."),
    ("stale", "A packet sent to an endpoint that is already gone, because the rules in force still name it."),
)

NOT_MODELLED: tuple[str, ...] = (
    "network policy rules of the CNI plugin",
    "cloud load balancers inside",
    "memory leaks and bugs of a release",
    "congestion inside TCP",
    "NUMA placement",
    "kernel regressions outside the cost profile",
)
