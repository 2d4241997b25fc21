"""Assumptions are about a part of the model: those about parts that a scenario does not use come after the others."""

from __future__ import annotations

from collections.abc import Sequence

from kpsim.scenario.model import Scenario

_ABOUT = {  # an assumption's number, and the parts of which a scenario must use one
    "A8": ("events", "churn"), "A9": ("iptables",), "A10": ("iptables",), "A11": ("ipvs",), "A12": ("ipvs",),
    "A17": ("nftables",), "A18": ("faults",), "A20": ("two families",), "A21": ("userspace",),
    "A22": ("kernelspace",), "A23": ("ebpf",), "A24": ("readinessFailure",), "A25": ("drain", "nodeLoss", "zoneLoss"),
    "A26": ("nodeLoss", "zoneLoss"), "A27": ("apiServerRestart", "controllerManagerRestart"),
    "A30": ("names",), "A31": ("names",),
    "A32": ("names",), "A33": ("names",), "A34": ("nodeJoin",), "A35": ("serviceDeletion", "serviceChange"),
    "A36": ("ingress",), "A37": ("ingress",), "A38": ("ingress",), "A39": ("nf_tables",),
}  # fmt: skip


def parts_used(scenario: Scenario) -> frozenset[str]:
    """Return the parts of the model that a scenario uses and not every scenario does."""
    kinds = {type(event).__name__ for event in scenario.events}
    asked = {
        "events": bool(kinds),
        "churn": scenario.churn.pod_replacements_per_s > 0,
        "faults": scenario.faults != type(scenario.faults)(),
        "two families": len(scenario.cluster.ip_families) > 1,
        "names": scenario.dns.clients_use_names,
        "ingress": scenario.ingress is not None,
        "nf_tables": "iptables" in scenario.modes and scenario.cluster.iptables_backend == "nft",
    }
    names = {f"{kind[:1].lower()}{kind[1:]}" for kind in kinds}
    return frozenset([*scenario.modes, *names, *(name for name, so in asked.items() if so)])


Rows = Sequence[tuple[str, str]]


def apart(assumptions: Rows, scenario: Scenario) -> tuple[Rows, Rows]:
    """Return the assumptions that bear on a scenario, and the others.

    >>> apart((("A1", "packets"), ("A11", "IPVS")), Scenario("one"))
    ([('A1', 'packets')], [('A11', 'IPVS')])
    """
    used = parts_used(scenario)
    bears = [name not in _ABOUT or not used.isdisjoint(_ABOUT[name]) for name, _ in assumptions]
    return (
        [row for row, so in zip(assumptions, bears, strict=True) if so],
        [row for row, so in zip(assumptions, bears, strict=True) if not so],
    )
