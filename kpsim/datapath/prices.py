"""A mode's packet stages and a profile's costs, compiled once into integer nanoseconds.

Both engines look prices up here and only add and multiply, so they cannot disagree by a rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, PacketState, Steps
from kpsim.units import I64


@dataclass(frozen=True, slots=True)
class PacketPrices:
    """Price of a packet in each state [ns]: a constant, and a table by number of steps for scans and choices."""

    constant: Mapping[PacketState, int]
    tables: Mapping[tuple[PacketState, Steps], I64]
    costs: Costs

    @staticmethod
    def compile(mode: Mode, costs: Costs, most_dispatch: int, most_endpoints: int) -> PacketPrices:
        """Tables long enough for ``most_dispatch`` rules scanned and ``most_endpoints`` endpoints of one Service."""
        constant: dict[PacketState, int] = {}
        tables: dict[tuple[PacketState, Steps], I64] = {}
        for state in PacketState:
            once = [s for s in mode.stages(state) if s.steps is Steps.ONCE]
            constant[state] = sum(int(costs.ns(s.work)) for s in once)
            for stage in mode.stages(state):
                if stage.steps is Steps.ONCE:
                    continue
                most = most_endpoints if stage.steps is Steps.ENDPOINT else most_dispatch
                key = (state, stage.steps)
                table = costs.steps_ns(stage.work, most)
                tables[key] = tables[key] + table if key in tables else table
        return PacketPrices(constant, tables, costs)

    def first_ns(self, scanned: I64, tried: I64, draw: np.ndarray) -> I64:
        """Return the cost of a first packet past ``scanned`` rules and ``tried`` endpoint rules [ns]; broadcast."""
        price = self.constant[PacketState.FIRST] + np.zeros_like(scanned)
        for steps, count in ((Steps.DISPATCH, scanned), (Steps.ENDPOINT, tried)):
            table = self.tables.get((PacketState.FIRST, steps))
            if table is not None:
                price = price + table[count]
        return (price * self.costs.factor("packet_first", draw)) >> 10

    def refused_ns(self, scanned: I64, draw: np.ndarray) -> I64:
        """Return the cost of a first packet without an endpoint, past ``scanned`` rules [ns]."""
        price = self.constant[PacketState.REFUSED] + np.zeros_like(scanned)
        for steps in (Steps.DISPATCH, Steps.EVERY_DISPATCH):
            table = self.tables.get((PacketState.REFUSED, steps))
            if table is not None:
                price = price + table[scanned]
        return (price * self.costs.factor("packet_first", draw)) >> 10

    def later_ns(self, draw: np.ndarray) -> I64:
        """Return the cost of a packet of a known connection [ns]."""
        return (self.constant[PacketState.LATER] * self.costs.factor("packet_later", draw)) >> 10

    def most_ns(self) -> int:
        """No packet costs more [ns]."""
        steps = sum(int(table.max(initial=0)) for table in self.tables.values())
        factor = max(int(table.max()) for table in self.costs.factors.values())
        return ((max(self.constant.values()) + steps) * factor >> 10) + 1

    def scans(self) -> bool:
        """Return True if a first packet's cost depends on the place of its service port."""
        return (PacketState.FIRST, Steps.DISPATCH) in self.tables

    def finds_refused(self) -> bool:
        """Return True if a packet without an endpoint finds its service port, instead of passing every rule."""
        return (PacketState.REFUSED, Steps.DISPATCH) in self.tables
