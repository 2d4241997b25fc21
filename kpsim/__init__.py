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
    api           Python's front: load, validate, a scenario with its verbs, results
    profiles      every number, with its source
    documents     YAML and JSON as plain data, each value with its line and column

Beside the rooms stand what they share (``clock``, ``rng``, ``units``, ``queues``, ``ratelimits``, ``errors``, …) and
``theory``, which nothing here uses: the simulator is held against it.

From Python::

    import kpsim

    result = kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run()
    result.frame()
    result.plot("latency")
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpsim.api import load, validate
    from kpsim.errors import GuardError, InputError, KpsimError
    from kpsim.profiles.costs import load_profile

__version__ = "0.1.0"

_HOMES = {
    "GuardError": "kpsim.errors",
    "InputError": "kpsim.errors",
    "KpsimError": "kpsim.errors",
    "load": "kpsim.api",
    "load_profile": "kpsim.profiles.costs",
    "validate": "kpsim.api",
}
# names of before the front, with their homes and what to write instead; they go with 0.2
_FORMER = {
    "ModeResult": ("kpsim.experiment.result", "kpsim.load(…).run().found.modes[…]"),
    "Result": ("kpsim.experiment.result", "kpsim.api.Result, which kpsim.load(…).run() gives"),
    "Scenario": ("kpsim.scenario.model", "kpsim.api.Scenario, which kpsim.load(…) gives"),
    "explain_packet": ("kpsim.explain.packet", "kpsim.load(…).explain_packet(to)"),
    "explain_service": ("kpsim.explain.service", "kpsim.load(…).explain_service(name)"),
    "read": ("kpsim.scenario.reader", "kpsim.load(…), or kpsim.load(…).model for the dataclass"),
    "run": ("kpsim.experiment.replications", "kpsim.load(…).run(), or .run().found for the dataclass"),
    "run_scenario": ("kpsim.experiment.replications", "kpsim.load(…).run(), or .run().found for the dataclass"),
    "sweep": ("kpsim.experiment.sweeps", "kpsim.load(…).sweep(…).frame()"),
}

__all__ = ["GuardError", "InputError", "KpsimError", "__version__", "load", "load_profile", "validate"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: ``import kpsim`` itself must stay quick."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name not in _FORMER:
        raise AttributeError(f"module 'kpsim' has no attribute {name!r}")
    home, instead = _FORMER[name]
    warnings.warn(f"kpsim.{name} goes with kpsim 0.2; write {instead}", DeprecationWarning, stacklevel=2)
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
