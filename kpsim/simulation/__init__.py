"""One run: the hall where the rooms meet.

A replication draws its changes and its connections once; the control plane runs once and every mode is shown the same
deliveries.  Per mode, either engine answers the same question: when did each node sync, and what did each packet meet.
Both give a :class:`ModeRun`, and on the same scenario the same one.

Names load their modules when they are first asked for: a cluster that is only looked at needs no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpsim.simulation.batch import run_control_plane
    from kpsim.simulation.draws import Replication, Sent, prepare
    from kpsim.simulation.engines import run_mode
    from kpsim.simulation.setting import build_cluster, choose_engine, cpu_costs_of, mode_of, profile_of
    from kpsim.simulation.wiring import ModeRun, ProxierRun

_HOMES = {
    "ModeRun": "wiring",
    "ProxierRun": "wiring",
    "Replication": "draws",
    "Sent": "draws",
    "build_cluster": "setting",
    "choose_engine": "setting",
    "cpu_costs_of": "setting",
    "mode_of": "setting",
    "prepare": "draws",
    "profile_of": "setting",
    "run_control_plane": "batch",
    "run_mode": "engines",
}

__all__ = [
    "ModeRun",
    "ProxierRun",
    "Replication",
    "Sent",
    "build_cluster",
    "choose_engine",
    "cpu_costs_of",
    "mode_of",
    "prepare",
    "profile_of",
    "run_control_plane",
    "run_mode",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
