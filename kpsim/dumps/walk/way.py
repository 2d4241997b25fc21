"""A packet under way: where it is going by now, what it is marked with, and how sure that is."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from kpsim.proxy.node import ip_port
from kpsim.proxy.rules import Packet

EVERY_BIT = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Node:
    """A node has these addresses of its own; ``asked`` gathers those that rules asked about and that are not known."""

    addresses: Collection[str] = ()
    asked: set[str] = field(default_factory=set)

    def has(self, ip: str) -> bool:
        """Return True if routing takes ``ip`` for the node's; loopback always is."""
        try:
            return ip in self.addresses or ipaddress.ip_address(ip).is_loopback
        except ValueError:  # a text may have anything where an address should be
            return False

    def is_local(self, ip: str) -> bool:
        """Return the same as :meth:`has`, and note an address that rules asked about in vain."""
        mine = self.has(ip)
        if not mine:
            self.asked.add(ip)
        return mine


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways a packet can take; ``vague`` are the bits of its mark that a dump does not tell."""

    packet: Packet  # with the destination it has by now
    asked_for: Packet  # with the destination it came with
    mark: int = 0
    vague: int = 0
    endpoint: str = ""  # what its destination was translated to
    masqueraded: bool = False
    other_sources: frozenset[bool] = frozenset()  # masqueraded or not, had rules matched that nobody can judge
    untracked: bool = False
    looped: bool = False  # it left by the loopback interface and came in again
    accepted: bool = False  # a rule let it through by name
    end: str = ""  # accept, drop or reject, where a rule decided

    def sent_to(self, ip: str, port: int) -> Way:
        """Return the same packet with another destination; port 0 keeps the one it has."""
        packet = replace(self.packet, destination=ip, port=port or self.packet.port)
        return replace(self, packet=packet, endpoint=ip_port(ip, packet.port), end="accept")

    def marked(self, verb: str, value: int, mask: int = EVERY_BIT) -> Way:
        """After ``set``, ``xset``, ``or``, ``xor`` or ``and``, as the MARK target names them."""
        mark, vague = {
            "set": ((self.mark & ~mask) | value, self.vague & ~(mask | value)),
            "xset": ((self.mark & ~mask) ^ value, self.vague & ~mask),
            "or": (self.mark | value, self.vague & ~value),
            "xor": (self.mark ^ value, self.vague),
            "and": (self.mark & value, self.vague & value),
        }[verb]
        return replace(self, mark=mark & EVERY_BIT, vague=vague & EVERY_BIT)

    def doubted(self, bits: int) -> Way:
        """After a rule that may have matched or not and would have set these bits of the mark."""
        return replace(self, vague=(self.vague | bits) & EVERY_BIT)

    @property
    def source_changed(self) -> bool | None:
        """Return True if it was masqueraded; ``None`` if that hangs on rules that cannot be judged."""
        return self.masqueraded if self.other_sources <= {self.masqueraded} else None

    def has_mark(self, value: int, mask: int = EVERY_BIT) -> bool | None:
        """Return True if the mark is ``value`` where ``mask`` looks; ``None`` if that cannot be told."""
        if (self.mark ^ value) & mask & ~self.vague:
            return False
        return None if mask & self.vague else True


def merged(one: Way | None, other: Way | None) -> Way | None:
    """Two ways that come together in one place; where their marks differ, the mark is vague."""
    if one is None or other is None:
        return one or other
    return replace(
        one,
        vague=one.vague | other.vague | (one.mark ^ other.mark),
        untracked=one.untracked or other.untracked,
        other_sources=one.other_sources | other.other_sources,
    )
