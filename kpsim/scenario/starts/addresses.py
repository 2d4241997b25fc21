"""Addresses are replaced so that what lies in a range still lies in it, and what came before another still does.

Each part of an address (an octet, or four hexadecimal digits) is replaced by another one, the same wherever all parts
before it are the same, and in the order in which they were.  A range that ends within a part keeps that part and those
beside it.  The first part stays, and so do loopback, link-local and multicast addresses; so a private address stays
private.  Within a range that is ``offset``, only the range moves: how far an address is from its beginning means
something.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

Parts = tuple[int, ...]
_KEPT_FIRST = {4: {0, 127, *range(224, 256)}, 6: {0, *range(0xFE80, 0x10000)}}
_KEPT_SECOND = {100, 169, 172, 192, 198, 203}  # octets that private and reserved ranges begin with, but do not fill


@dataclass(slots=True)
class Addresses:
    """Addresses that were seen, and their replacements; ``see`` all before asking for one."""

    rng: np.random.Generator
    offset: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    _used: dict[Parts, set[int]] = field(default_factory=dict)
    _cut: set[Parts] = field(default_factory=set)  # parts that a range ends within
    _made: dict[Parts, dict[int, int]] = field(default_factory=dict)

    def see(self, text: str) -> None:
        """Take note of an address or range; of anything else, nothing."""
        network = read(text)
        if network is None:
            return
        parts, bits = _parts(network), 8 if network.version == 4 else 16
        whole, rest = divmod(network.prefixlen, bits)
        for depth in range(whole):
            self._used.setdefault((network.version, *parts[:depth]), set()).add(parts[depth])
        if rest:
            self._cut.add((network.version, *parts[:whole]))

    def of(self, text: str) -> str:
        """Return the replacement of an address or range; what is none stays."""
        network = read(text)
        if network is None or network.prefixlen == 0:
            return text
        version, parts, bits = network.version, _parts(network), 8 if network.version == 4 else 16
        whole = network.prefixlen // bits
        new = [self._part((version, *parts[:depth]), part) for depth, part in enumerate(parts[:whole])]
        value = _joined([*new, *parts[whole:]], bits)
        ip = ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)
        return f"{ip}/{network.prefixlen}" if "/" in text else str(ip)

    def _part(self, before: Parts, part: int) -> int:
        if before not in self._made:
            self._made[before] = dict(self._replaced(before))
        return self._made[before].get(part, part)

    def _replaced(self, before: Parts) -> Iterator[tuple[int, int]]:
        """Yield each part that was seen after ``before``, with its replacement."""
        version, *parts = before
        used = sorted(self._used.get(before, ()), key=_order(version))
        last = len(parts) == (3 if version == 4 else 7)
        most = 255 if version == 4 else 0xFFFF
        ends = last and bool({0, most} & set(used))  # such addresses mean something else
        kept = not parts or parts[0] in _KEPT_FIRST[version] or (len(parts) == 1 and parts[0] in _KEPT_SECOND)
        if kept or ends or before in self._cut or self._within_offset(version, parts):
            return
        candidates = range(1, most) if last else range(most + 1)
        yield from zip(used, self._chosen(version, used, candidates), strict=True)

    def _chosen(self, version: int, used: list[int], candidates: range) -> list[int]:
        """Return as many other parts in the same order, each as long as the one that it replaces."""
        ranked = sorted(candidates, key=_order(version))
        of_length: dict[int, list[int]] = {}
        for rank, part in enumerate(ranked):
            of_length.setdefault(_digits(version, part), []).append(rank)
        latest, end = [], len(ranked)
        for part in reversed(used):  # so that those after it still find a place
            places = of_length[_digits(version, part)]
            end = places[bisect_left(places, end) - 1]
            latest.append(end)
        chosen, last = [], -1
        for part, end in zip(used, reversed(latest), strict=True):
            places = of_length[_digits(version, part)]
            first, beyond = bisect_right(places, last), bisect_right(places, end)
            last = places[int(self.rng.integers(first, beyond))]
            chosen.append(ranked[last])
        return chosen

    def _within_offset(self, version: int, parts: list[int]) -> bool:
        bits, count = (8, 4) if version == 4 else (16, 8)
        value = _joined([*parts, *[0] * (count - len(parts))], bits)
        ip = ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)
        return any(
            ip in each and len(parts) * bits >= each.prefixlen for each in self.offset if each.version == version
        )


def read(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return an address or range as a range; None for what is neither."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _order(version: int) -> Callable[[int], str]:
    """Return the key that sorts octets as kube-proxy does endpoints: as text; of IPv6, as numbers."""
    return (lambda part: f"{part}.") if version == 4 else (lambda part: f"{part:04x}")


def _digits(version: int, part: int) -> int:
    """Return the length of a part: that of an address counts where it is one of a container's variables."""
    return len(str(part)) if version == 4 else len(f"{part:x}")


def _joined(parts: list[int], bits: int) -> int:
    value = 0
    for part in parts:
        value = value << bits | part
    return value


def _parts(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> list[int]:
    bits, count = (8, 4) if network.version == 4 else (16, 8)
    value = int(network.network_address)
    return [value >> bits * (count - 1 - index) & (1 << bits) - 1 for index in range(count)]
