"""Virtual IPs and NodePorts out of their ranges, the way Kubernetes' allocators divide them.

A range has a static band at its start, meant for addresses people choose, and a dynamic band above it, from which the
API server allocates first; when that is full it takes from the static band.  The API server starts its search at a
random place in the dynamic band; here it starts at the band's first address, because which address a Service gets
changes nothing that is modelled, and the same scenario must give the same cluster.

Source: pkg/registry/core/service/ipallocator/bitmap.go (calculateRangeOffset) and
pkg/registry/core/service/portallocator/allocator.go.
"""

from __future__ import annotations

import ipaddress

import numpy as np

from kpsim.errors import InputError
from kpsim.units import I64, U32


def parse_range(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a range in CIDR notation, with or without host bits set.

    Raises
    ------
    InputError
        if it is not one.
    """
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InputError(f"{text!r} is not a range of addresses; write e.g. 10.96.0.0/12") from None


_OCTETS = {str(octet): octet for octet in range(256)}


def ipv4_number(ip: str) -> int:
    """Return an IPv4 address as a number, faster than the library does.  Raises ``ValueError`` for what is none."""
    try:
        a, b, c, d = ip.split(".")
        return _OCTETS[a] << 24 | _OCTETS[b] << 16 | _OCTETS[c] << 8 | _OCTETS[d]
    except (KeyError, ValueError):
        return int(ipaddress.IPv4Address(ip))  # which says why not


class _Range:
    """Numbers ``first`` … ``first + size - 1``, of which the ``band`` first are given out last."""

    def __init__(self, first: int, size: int, band: int, called: str) -> None:
        self.first = first
        self.usable = size
        self.static_band_size = min(band, size)
        self._called = called
        self._taken: set[int] = set()
        self._cursor = self.static_band_size  # offset of the next candidate; after the end, the static band

    @property
    def free(self) -> int:
        """Return the count of numbers left."""
        return self.usable - len(self._taken)

    def holds(self, number: int) -> bool:
        """Return True if ``number`` is one that can be given out."""
        return 0 <= number - self.first < self.usable

    def take(self, number: int) -> bool:
        """Take one; whether it was free and in the range."""
        if not self.holds(number) or number in self._taken:
            return False
        self._taken.add(number)
        return True

    def take_many(self, n: int) -> I64:
        """Return the next ``n`` free numbers, (n,), dynamic band first."""
        if n > self.free:
            asked = len(self._taken) + n
            raise InputError(f"the {self._called} is too small: it has {self.usable:,} and {asked:,} are asked for")
        if n == 1:
            return np.array([self.take_next()], np.int64)
        found: list[I64] = []
        missing = n
        taken = np.fromiter(self._taken, np.int64, len(self._taken))
        while missing:
            offsets = (self._cursor + np.arange(min(missing + len(self._taken), self.usable))) % self.usable
            candidates = self.first + offsets[~np.isin(self.first + offsets, taken)][:missing]
            last = int(candidates[-1]) - self.first if len(candidates) else int(offsets[-1])
            self._cursor = (last + 1) % self.usable
            found.append(candidates)
            missing -= len(candidates)
        numbers = np.concatenate(found) if found else np.zeros(0, np.int64)
        self._taken.update(numbers.tolist())
        return numbers

    def take_next(self) -> int:
        """Return the next free number, dynamic band first.  Raises ``InputError`` when there is none."""
        if not self.free:
            raise InputError(
                f"the {self._called} is too small: it has {self.usable:,} and {self.usable + 1:,} are asked for"
            )
        while self.first + self._cursor in self._taken:
            self._cursor = (self._cursor + 1) % self.usable
        number = self.first + self._cursor
        self._taken.add(number)
        return number


class _Allocator:
    """Addresses and ports are both given out of a range with a static band."""

    _range: _Range

    @property
    def usable(self) -> int:
        """Return the count of numbers that can be given out."""
        return self._range.usable

    @property
    def static_band_size(self) -> int:
        """Return the count of numbers at the start that are given out last."""
        return self._range.static_band_size

    @property
    def free(self) -> int:
        """Return the count of numbers left."""
        return self._range.free


class ClusterIPAllocator(_Allocator):
    """The Service range, e.g. ``10.96.0.0/12``: every address but the first and the last can be a ClusterIP.

    Of an IPv6 range the last address can be one too.
    """

    def __init__(self, cidr: str) -> None:
        network = parse_range(cidr)
        size = network.num_addresses
        band = 0 if size <= 16 else min(max(16, size // 16), 256)
        self.cidr = str(network)
        called = f"service range {self.cidr}"
        unusable = 2 if network.version == 4 else 1
        self._address = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
        self._range = _Range(int(network.network_address) + 1, max(0, size - unusable), band, called)

    @property
    def first_address(self) -> str:
        """Return the first address it can give out, which the API server's own Service has."""
        return str(self._address(self._range.first))

    def holds(self, ip: str) -> bool:
        """Return True if ``ip`` is an address that this range can give out."""
        return self._range.holds(self._number(ip))

    def _number(self, ip: str) -> int:
        return ipv4_number(ip) if self._address is ipaddress.IPv4Address else int(self._address(ip))

    def in_static_band(self, numbers: I64) -> int:
        """Return the count of these addresses that are in the static band."""
        offsets = numbers - self._range.first
        return int(((offsets >= 0) & (offsets < self.static_band_size)).sum())

    def reserve(self, ip: str) -> bool:
        """Take the address a Service asked for; whether it was free and in the range."""
        return self._range.take(self._number(ip))

    def allocate(self) -> str:
        """Return the next free address.  Raises ``InputError`` when there is none."""
        return str(self._address(self._range.take_next()))

    def allocate_all(self, n: int) -> list[str]:
        """Return the next ``n`` free addresses.  Raises ``InputError`` when there are not so many."""
        if self._address is ipaddress.IPv6Address:
            return [self.allocate() for _ in range(n)]
        return [str(self._address(number)) for number in self._range.take_many(n).tolist()]

    def allocate_many(self, n: int) -> U32:
        """Return the next ``n`` free addresses as numbers, (n,).

        Raises
        ------
        InputError
            saying how many fit and how many were asked for.
        """
        return self._range.take_many(n).astype(np.uint32)


class NodePortAllocator(_Allocator):
    """The NodePort range, 30000–32767 unless the API server was told otherwise."""

    def __init__(self, first: int, last: int) -> None:
        size = max(0, last - first + 1)
        band = 0 if size <= 16 else min(max(16, size // 32), 128)
        self._range = _Range(first, size, band, f"NodePort range {first}-{last}")

    def reserve(self, port: int) -> bool:
        """Take the port a Service asked for; whether it was free and in the range."""
        return self._range.take(port)

    def allocate(self) -> int:
        """Return the next free port.  Raises ``InputError`` when there is none."""
        return self._range.take_next()

    def allocate_many(self, n: int) -> I64:
        """Return the next ``n`` free ports, (n,).  Raises ``InputError`` when there are not so many."""
        return self._range.take_many(n)
