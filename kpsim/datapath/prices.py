"""A mode's packet stages and a profile's costs, compiled once into integer nanoseconds.

Both engines look prices up here and only add and multiply, so they cannot disagree by a rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kpsim.profiles.costs import Costs
from kpsim.proxy.contract import Mode, PacketState, Stage, Steps, Work
from kpsim.units import I64, Bools

BY_TCP: Mapping[str, str] = {  # a coefficient of a first packet -> of all three packets of a TCP connection's beginning
    "packet_first": "connection_made",
    "rule_passed": "rule_passed_by_tcp",
    "endpoint_rule": "endpoint_rule_by_tcp",
    "choice_doubled": "choice_doubled_by_tcp",
}
HANDSHAKE = "handshake"  # what it adds to a first packet, where connections were not timed as a whole


def by_tcp(work: Work, costs: Costs) -> Work:
    """Return what the beginning of a TCP connection pays in the place of the ``work`` of a first packet.

    Two more packets, which conntrack knows, and the sockets of both ends; the tables are passed once all the same.
    """
    found = {BY_TCP[name] if BY_TCP.get(name) in costs.coefficients else name: count for name, count in work.items()}
    return {**found, HANDSHAKE: 1} if "packet_first" in found and HANDSHAKE in costs.coefficients else found


@dataclass(frozen=True, slots=True)
class PacketPrices:
    """Price of a packet in each state [ns]: a constant, and a table by number of steps for scans and choices.

    ``handshakes`` (ports,) are the service ports whose connections begin at the price ``begun`` and ``begun_tables``;
    ``None`` where a connection's beginning is one packet.
    """

    constant: Mapping[PacketState, int]
    tables: Mapping[tuple[PacketState, Steps], I64]
    costs: Costs
    handshakes: Bools | None = None
    begun: int = 0
    begun_tables: Mapping[Steps, I64] = field(default_factory=dict)

    @staticmethod
    def compile(
        mode: Mode, costs: Costs, most_dispatch: int, most_endpoints: int, handshakes: Bools | None = None
    ) -> PacketPrices:
        """Tables long enough for ``most_dispatch`` rules scanned and ``most_endpoints`` endpoints of one Service."""
        most = {Steps.ENDPOINT: most_endpoints}
        constant: dict[PacketState, int] = {}
        tables: dict[tuple[PacketState, Steps], I64] = {}
        for state in PacketState:
            constant[state], found = _prices(mode.stages(state), costs, most, most_dispatch)
            tables |= {(state, steps): table for steps, table in found.items()}
        stages = [replace(stage, work=by_tcp(stage.work, costs)) for stage in mode.stages(PacketState.FIRST)]
        return PacketPrices(constant, tables, costs, handshakes, *_prices(stages, costs, most, most_dispatch))

    def first_ns(self, scanned: I64, tried: I64, draw: np.ndarray, port: I64 | None = None) -> I64:
        """Return the cost of a first packet past ``scanned`` rules and ``tried`` endpoint rules [ns]; broadcast.

        Of a connection to a service ``port`` that pays its handshake, the cost of all three packets.
        """
        whole = np.zeros(1, np.bool_) if self.handshakes is None or port is None else self.handshakes[port]
        constant = self.constant[PacketState.FIRST]
        price = np.where(whole, self.begun, constant) if whole.any() else np.full(1, constant)
        for steps, count in ((Steps.DISPATCH, scanned), (Steps.ENDPOINT, tried)):
            table = self.tables.get((PacketState.FIRST, steps))
            if table is not None:
                price = price + (
                    np.where(whole, self.begun_tables[steps][count], table[count]) if whole.any() else table[count]
                )
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
        return self.costs.varied("packet_later", self.constant[PacketState.LATER], draw)

    def most_ns(self) -> int:
        """Return a price that no packet exceeds [ns]."""
        every = [*self.tables.values(), *self.begun_tables.values()]
        steps = sum(int(table.max(initial=0)) for table in every)
        factor = max(int(table.max()) for table in self.costs.factors.values())
        return ((max(self.begun, *self.constant.values()) + steps) * factor >> 10) + 1

    def scans(self) -> bool:
        """Return True if a first packet's cost depends on the place of its service port."""
        return (PacketState.FIRST, Steps.DISPATCH) in self.tables

    def finds_refused(self) -> bool:
        """Return True if a packet without an endpoint finds its service port, instead of passing every rule."""
        return (PacketState.REFUSED, Steps.DISPATCH) in self.tables


def _prices(
    stages: Iterable[Stage], costs: Costs, most: Mapping[Steps, int], most_dispatch: int
) -> tuple[int, dict[Steps, I64]]:
    """Return what is paid once [ns], and a table by number of steps of what is paid for each."""
    constant, tables = 0, dict[Steps, I64]()
    for stage in stages:
        if stage.steps is Steps.ONCE:
            constant += int(costs.ns(stage.work))
            continue
        table = costs.steps_ns(stage.work, most.get(stage.steps, most_dispatch))
        tables[stage.steps] = tables[stage.steps] + table if stage.steps in tables else table
    return constant, tables
