"""What a mode writes and what it says of a packet, side by side with the tables it wrote them to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kpsim.modes.iptables.program import program as iptables_program
from kpsim.modes.iptables.text import jump_lines
from kpsim.modes.iptables.tracer import trace as iptables_trace
from kpsim.modes.nftables.program import program as nftables_program
from kpsim.modes.nftables.text import transaction_lines
from kpsim.modes.nftables.tracer import trace as nftables_trace
from kpsim.proxy.node import NodeConfig, PortState
from kpsim.proxy.rules import Packet, Trace
from tests.kernel.namespaces import Namespace
from tests.kernel.xtables import Tables
from tests.models.iptables_writer import RuleWriter
from tests.models.nftables_writer import TableWriter

__all__ = ["MODES", "Mode", "mode_of"]

MODES = ("legacy", "nft", "nftables")  # iptables on either back end, and nftables


class Mode(Protocol):
    """A node's rules in the kernel and in the model."""

    def expect(self, states: Sequence[PortState]) -> None:
        """Let the model go by these Services, whatever the kernel has."""

    def sync(self, states: Sequence[PortState], changed: Sequence[str], now_s: float) -> None:
        """Write what has changed, everything the first time."""

    def trace(self, packet: Packet) -> Trace:
        """What the model says of a connection's first packet."""


class _Iptables:
    def __init__(self, node: Namespace, config: NodeConfig, backend: str, folder: Path) -> None:
        self.config = config
        self.writer = RuleWriter(config, sync_period_s=30.0)
        self.tables = Tables(node, backend, folder)

    def expect(self, states: Sequence[PortState]) -> None:
        self.rules = iptables_program(states, self.config)

    def sync(self, states: Sequence[PortState], changed: Sequence[str], now_s: float) -> None:
        self.expect(states)
        if self.writer.need_full:
            self.tables.node.add_counters()
            self.tables.restore(jump_lines(iptables_program((), self.config)))
        self.tables.restore(self.writer.sync(states, changed, now_s).lines)

    def trace(self, packet: Packet) -> Trace:
        return iptables_trace(self.rules, self.config, packet)


class _Nftables:
    def __init__(self, node: Namespace, config: NodeConfig) -> None:
        self.node, self.config, self.writer = node, config, TableWriter(config)

    def expect(self, states: Sequence[PortState]) -> None:
        self.rules = nftables_program(states, self.config)

    def sync(self, states: Sequence[PortState], changed: Sequence[str], now_s: float) -> None:
        self.expect(states)
        report = self.writer.sync(states, changed, now_s)
        for operations in (report.cleanup, report.operations):
            self.node.run(("nft", "-f", "-"), "\n".join(transaction_lines(operations, self.rules.ip)) + "\n")

    def trace(self, packet: Packet) -> Trace:
        return nftables_trace(self.rules, self.config, packet)


def mode_of(name: str, node: Namespace, config: NodeConfig, folder: Path) -> Mode:
    """A mode with nothing written yet."""
    return _Nftables(node, config) if name == "nftables" else _Iptables(node, config, name, folder)
