"""Addresses stand in the columns as numbers of 32 bits: those of IPv4 for themselves, stand-ins for those of IPv6.

An address in the range of Services or of Pods stands at its place there; others are counted in the order of reading.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache

from kpsim.kube.allocator import ipv4_number

SERVICES, OTHERS, PODS = 1 << 28, 1 << 29, 1 << 30  # the first stand-ins of each kind
MOST_BITS = {SERVICES: 20, PODS: 30}  # the API server gives out no more of a range of Services
RANGES = {  # of Services and Pods where a scenario names none; IPv6's are those of kind
    "IPv4": ("10.96.0.0/12", "10.128.0.0/10"),
    "IPv6": ("fd00:10:96::/112", "fd00:10:244::/56"),
}


def other_family(family: str) -> str:
    """Return the IP family that is not ``family``."""
    return "IPv4" if family == "IPv6" else "IPv6"


def dotted(ip: int) -> str:
    """Return an IPv4 address as people write it."""
    return f"{ip >> 24 & 255}.{ip >> 16 & 255}.{ip >> 8 & 255}.{ip & 255}"


_ZEROS = re.compile(r"^(?=[0-9]{1,3}$)0+(?=[0-9])")  # before 1.36 the API server takes an address with them


@lru_cache(maxsize=64)
def _range(cidr: str) -> ipaddress.IPv6Network:
    return ipaddress.IPv6Network(cidr, strict=False)


@dataclass(frozen=True, slots=True)
class Addresses:
    """A cluster's numbers stand for addresses of its first IP family, and this book holds which.

    >>> six = Addresses("IPv6", "fd00:10:96::/112", "fd00:10:244::/56")
    >>> six.number("fd00:10:96::a") - six.number("fd00:10:96::1"), six.text(six.number("fd00:10:244::5"))
    (9, 'fd00:10:244::5')
    """

    family: str = "IPv4"
    service_range: str = ""
    pod_range: str = ""
    others: list[str] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)  # the numbers of ``others``

    def mine(self, ip: str) -> bool:
        """Return True for an address of this family."""
        return (":" in ip) == (self.family == "IPv6")

    def count(self, ips: tuple[str, ...]) -> int:
        """Return how many of ``ips``, addresses or ranges, are of this family."""
        return sum(map(self.mine, ips))

    def service_numbers(self) -> str:
        """Return the range of the numbers of ClusterIPs, as if they were IPv4 addresses."""
        return self._numbers(self.service_range, SERVICES)

    def pod_numbers(self) -> ipaddress.IPv4Network:
        """Return the range of the numbers of Pods, as if they were IPv4 addresses."""
        return ipaddress.IPv4Network(self._numbers(self.pod_range, PODS), strict=False)

    def _numbers(self, cidr: str, first: int) -> str:
        if self.family == "IPv4":
            return cidr
        bits = min(128 - _range(cidr).prefixlen, MOST_BITS[first])
        return f"{dotted(first)}/{32 - bits}"

    def number(self, ip: str) -> int:
        """Return the number that stands for an address of this family."""
        if self.family == "IPv4":
            try:
                return ipv4_number(ip)
            except ValueError:
                return ipv4_number(".".join(_ZEROS.sub("", part) for part in ip.split(".")))
        address = ipaddress.IPv6Address(ip)
        for cidr, first in ((self.service_range, SERVICES), (self.pod_range, PODS)):
            network = _range(cidr)
            offset = int(address) - int(network.network_address)
            if address in network and offset < 1 << MOST_BITS[first]:
                return first + offset
        text = str(address)
        if text not in self.known:
            self.known[text] = OTHERS + len(self.others)
            self.others.append(text)
        return self.known[text]

    def text(self, number: int) -> str:
        """Return the address that a number stands for; one beyond those that were read follows the last of them."""
        if self.family == "IPv4":
            return dotted(number)
        if OTHERS <= number < PODS:
            last = min(number - OTHERS, len(self.others) - 1)
            return str(ipaddress.IPv6Address(self.others[last]) + (number - OTHERS - last))
        cidr, first = (self.pod_range, PODS) if number >= PODS else (self.service_range, SERVICES)
        return str(_range(cidr).network_address + (number - first))
