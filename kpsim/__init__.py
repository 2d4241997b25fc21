"""kpsim: what Kubernetes Service networking costs, from the change of a Pod to the latency of a packet.

The map of the house, in the order in which things happen::

    scenario      a question about a cluster, read from YAML
    kube          Kubernetes' objects, their defaults, validation and allocators
    cluster       what there is: the cluster as columns, and its changes as columns
    history       what happens: churn, Pods, workloads, nodes and events, played before an engine starts
    controlplane  controllers, API server, watch: from a change to a delivery on every node
    proxy         kube-proxy as such: the contract of a mode, node, rules, sync loop
    modes         iptables, ipvs, nftables, userspace, kernelspace, ebpf
    traffic       connections and their packets
    dns           what a name costs before a connection opens
    ingress       a hop before a Service, with a watch of its own
    datapath      queues and prices: what each packet met
    measure       tallies, percentiles, intervals
    simulation    one run, where the rooms meet: draws, wiring, and two engines
    experiment    replications, comparisons, sweeps, validation
    calibration   records of measurements, and coefficients fitted to them
    explain       stories: a Service, a packet, a name
    scrape        kube-proxy's /metrics at a moment of a run
    dumps         rules of real nodes: readers, and a walker of netfilter
    report        figures, pages, tables
    profiles      every number, with its source

From Python::

    import kpsim

    result = kpsim.run("scenarios/hello.yaml")
    result.modes["iptables"].summaries["first_packet_latency"].quantiles["p99"]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpsim.errors import GuardError, InputError, KpsimError
    from kpsim.experiment.replications import run, run_scenario
    from kpsim.experiment.result import ModeResult, Result
    from kpsim.experiment.sweeps import sweep
    from kpsim.explain.packet import explain_packet
    from kpsim.explain.service import explain_service
    from kpsim.profiles.costs import load_profile
    from kpsim.scenario.model import Scenario
    from kpsim.scenario.reader import read

__version__ = "0.1.0"

_HOMES = {
    "GuardError": "kpsim.errors",
    "InputError": "kpsim.errors",
    "KpsimError": "kpsim.errors",
    "ModeResult": "kpsim.experiment.result",
    "Result": "kpsim.experiment.result",
    "Scenario": "kpsim.scenario.model",
    "explain_packet": "kpsim.explain.packet",
    "explain_service": "kpsim.explain.service",
    "load_profile": "kpsim.profiles.costs",
    "read": "kpsim.scenario.reader",
    "run": "kpsim.experiment.replications",
    "run_scenario": "kpsim.experiment.replications",
    "sweep": "kpsim.experiment.sweeps",
}

__all__ = [
    "GuardError",
    "InputError",
    "KpsimError",
    "ModeResult",
    "Result",
    "Scenario",
    "__version__",
    "explain_packet",
    "explain_service",
    "load_profile",
    "read",
    "run",
    "run_scenario",
    "sweep",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: ``import kpsim`` itself must stay quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kpsim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
