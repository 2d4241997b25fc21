"""kpsim: what Kubernetes Service networking costs, from the change of a Pod to the latency of a packet.

The map of the house, in the order in which things happen::

    scenario      a question about a cluster, read from YAML
    kube          Kubernetes' objects, their defaults, validation and allocators
    cluster       the cluster as columns, and what changes in it
    controlplane  controllers, API server, watch: from a change to a delivery on every node
    proxy         kube-proxy: modes, rules, sync loops
    traffic       connections and their packets
    dns           what a name costs before a connection opens
    datapath      queues and prices: what each packet met
    measure       tallies, percentiles, intervals
    simulation    one run, where the rooms meet
    experiment    replications, comparisons, sweeps
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
    from kpsim.experiment.explanation import explain_service
    from kpsim.experiment.explanation.packets import explain_packet
    from kpsim.experiment.replications import run, run_scenario
    from kpsim.experiment.result import ModeResult, Result
    from kpsim.experiment.sweeps import sweep
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
    "explain_packet": "kpsim.experiment.explanation.packets",
    "explain_service": "kpsim.experiment.explanation",
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
