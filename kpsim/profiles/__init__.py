"""Numbers with their sources: what things cost on a measured machine, and how Kubernetes is set by default.

Each number is ``{unit, value, interval, source}`` in a YAML file here; code holds structure only.  A source named
``assumed`` is legal and is always shown.
"""

from kpsim.profiles.costs import CostProfile, Costs, load_profile, profile_names
from kpsim.profiles.defaults import Defaults, Lag, load_defaults
from kpsim.profiles.format import Coefficient

__all__ = [
    "Coefficient",
    "CostProfile",
    "Costs",
    "Defaults",
    "Lag",
    "load_defaults",
    "load_profile",
    "profile_names",
]
