"""IP addresses and ranges as the API server reads them: loosely up to 1.35, strictly in new values from 1.36.

Loose reading drops leading zeros and takes an IPv4 address mapped into IPv6 for the IPv4 one; ranges may have bits set
beyond their prefix.  What is taken loosely is warned about.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/ip.go; k8s.io/utils/internal/third_party/forked/golang/net;
pkg/apis/core/validation/validation.go (ValidateEndpointIP).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from kpsim.documents import Key
from kpsim.kube.allocator import ipv4_number
from kpsim.kube.fields import Fault
from kpsim.kube.server.refusals import invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NO_RANGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

_CHARACTERS = re.compile(r"[0-9A-Fa-f:.]+")
_LEADING_ZEROS = re.compile(r"(?<![0-9A-Fa-f])0+(?=[0-9A-Fa-f])")
# An IPv4 address that nothing is wrong with: most are, and there may be hundreds of thousands.
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
PLAIN = re.compile(rf"(?!(0|127|169|224)\.){_OCTET}(\.{_OCTET}){{3}}")

REMEMBERED = 1 << 12  # addresses: each is asked for several times in a row, by one rule after the other
_LINK_LOCAL = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))


@lru_cache(REMEMBERED)
def address_of(text: str) -> Address | None:
    """Return the address a text stands for, read loosely; ``None`` if it is none."""
    if PLAIN.fullmatch(text):
        return ipaddress.IPv4Address(ipv4_number(text))
    if not _CHARACTERS.fullmatch(text):
        return None
    try:
        found = ipaddress.ip_address(_LEADING_ZEROS.sub("", text))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def is_v6(text: str) -> bool:
    """Return True for an IPv6 address."""
    return isinstance(address_of(text), ipaddress.IPv6Address)


def family_of(text: str) -> str:
    """Return the family of an address; what is none counts as IPv4, as it does to the server."""
    return "IPv6" if is_v6(text) else "IPv4"


def network_of(text: str) -> tuple[Address, Network] | None:
    """Return the address and the range of a text in CIDR notation, read loosely; ``None`` if it is none."""
    before, slash, bits = text.rpartition("/")
    address = address_of(before) if slash and re.fullmatch(r"[0-9]+", bits) else None
    if address is None or int(bits) > (128 if ":" in before else 32):
        return None
    length = int(bits) - (96 if ":" in before and address.version == 4 else 0)
    if length < 0:
        return None
    return address, ipaddress.ip_network((address, length), strict=False)


@lru_cache(REMEMBERED)
def _strict_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _mapped(address: Address | None) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def ip_faults(text: str, key: Key, *, strict: bool, old: Collection[str] = (), mend: str = "") -> Iterator[Fault]:
    """Yield the fault of an address, if it has one; ``old`` values of an update stay valid."""
    if text in old:
        return
    if address_of(text) is None:
        yield invalid(key, text, NO_ADDRESS, mend)
    elif strict and _strict_address(text) is None:
        yield invalid(key, text, "must not have leading 0s", mend)
    elif strict and _mapped(_strict_address(text)):
        yield invalid(key, text, "must not be an IPv4-mapped IPv6 address", mend)


def canonical_faults(text: str, key: Key) -> Iterator[Fault]:
    """Yield the fault of an address, if it has one, in a field that takes one way of writing only."""
    faults = list(ip_faults(text, key, strict=True))
    if not faults and (right := str(address_of(text))) != text:
        faults.append(invalid(key, text, f'must be in canonical form ("{right}")'))
    yield from faults


def range_faults(text: str, key: Key, *, strict: bool, old: Collection[str] = (), path: str = "") -> Iterator[Fault]:
    """Yield the fault of a range in CIDR notation, if it has one; ``old`` values of an update stay valid."""
    if text in old:
        return
    found = network_of(text)
    if found is None:
        yield invalid(key, text, NO_RANGE, path=path)
        return
    address, network = found
    before, _, bits = text.rpartition("/")
    if not strict:
        return
    if _strict_address(before) is None or bits != str(int(bits)):
        yield invalid(key, text, "must not have leading 0s in IP or prefix length", path=path)
    elif _mapped(_strict_address(before)):
        yield invalid(key, text, "must not have an IPv4-mapped IPv6 address", path=path)
    elif address != network.network_address:
        yield invalid(key, text, "must not have bits set beyond the prefix length", path=path)


def special_faults(text: str, key: Key) -> Iterator[Fault]:
    """Yield a fault for each way in which an address leads nowhere or to the node itself."""
    at = address_of(text)
    if at is None:
        return
    if at.is_unspecified:
        yield invalid(key, text, f"may not be unspecified ({text})")
    if at.is_loopback:
        yield invalid(key, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if any(at in network for network in _LINK_LOCAL):
        yield invalid(key, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    packed = at.packed
    if packed[:3] == b"\xe0\x00\x00" if at.version == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 0x02:
        yield invalid(key, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def ip_warnings(text: str, path: str) -> Iterator[str]:
    """Yield the server's warning about an address that it took and that is better written otherwise."""
    right, strict = address_of(text), _strict_address(text)
    if right is None:
        return
    if strict is None or _mapped(strict):
        yield f'{path}: non-standard IP address "{text}" is invalid: use "{right}"'
    elif strict.version == 6 and str(strict) != text:
        yield f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{strict}")'


def range_warnings(text: str, path: str) -> Iterator[str]:
    """Yield the server's warnings about a range that it took and that is better written otherwise."""
    found = network_of(text)
    if found is None:
        return
    address, network = found
    before, _, bits = text.rpartition("/")
    strict = _strict_address(before)
    ambiguous = address != network.network_address
    odd = strict is None or _mapped(strict) or bits != str(int(bits))
    if ambiguous:
        alone = f"{address}/{address.max_prefixlen}"
        yield f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{alone}"?)'
    if odd:
        yield f'{path}: non-standard CIDR value "{text}" is invalid: use "{network}"'
    if not ambiguous and not odd and address.version == 6 and str(network) != text:
        yield f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")'
