"""The API server's ways of saying no, as :class:`Fault`.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation (field/errors.go, validation.go) and
pkg/apis/core/validation/validation.go (ValidateNonSpecialIP).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from kpsim.documents import Key
from kpsim.errors import did_you_mean
from kpsim.kube.fields import Fault

LONGEST_NAME = 63

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)


def shown(value: object) -> str:
    """A value as Kubernetes prints it, text in quotes and not too long; a list as the JSON it is."""
    if isinstance(value, str):
        return '"' + (value if len(value) <= 60 else value[:57] + "...") + '"'
    if isinstance(value, Sequence):
        return "[" + ",".join(map(shown, value)) + "]"
    return str(value)


def invalid(key: Key, value: object, why: str, mend: str = "") -> Fault:
    """``Invalid value``, and why."""
    return Fault(key, f"Invalid value: {shown(value)}: {why}", mend)


def forbidden(key: Key, why: str, mend: str = "") -> Fault:
    """``Forbidden``, and why; the key itself is what is wrong."""
    return Fault(key, f"Forbidden: {why}", mend)


def choice_faults(value: str, allowed: Sequence[str], key: Key) -> Iterator[Fault]:
    """``Unsupported value`` for what is not one of ``allowed``."""
    if value not in allowed:
        supported = ", ".join(f'"{word}"' for word in allowed)
        what = f"Unsupported value: {shown(value)}: supported values: {supported}"
        yield Fault(key, what, did_you_mean(value, allowed))


def qualified_name_faults(text: str, key: Key) -> Iterator[Fault]:
    """What is wrong with a label's key, a protocol's or a class's name: ``[prefix/]name``."""
    prefix, slash, name = text.rpartition("/")
    if slash and (not prefix or "/" in prefix or len(prefix) > 253 or not _HOST.fullmatch(prefix)):
        yield invalid(key, text, "prefix part must be a DNS subdomain (e.g. 'example.com')")
    if not name:
        yield invalid(key, text, "name part must be non-empty")
    elif len(name) > LONGEST_NAME:
        yield invalid(key, text, f"name part must be no more than {LONGEST_NAME} bytes")
    elif not _QUALIFIED.fullmatch(name):
        yield invalid(key, text, f"{_NAME_PART} (e.g. 'MyName', or 'my.name', or '123-abc')")


def host_faults(text: str, key: Key) -> Iterator[Fault]:
    """What is wrong with the name of a host: a lowercase RFC 1123 subdomain."""
    if len(text) > 253:
        yield invalid(key, text, "must be no more than 253 bytes")
    elif not _HOST.fullmatch(text):
        why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        yield invalid(key, text, f"{why}, and must start and end with an alphanumeric character (e.g. 'example.com')")


def address_faults(ip: str, key: Key, mend: str = "", *, special: bool = True) -> Iterator[Fault]:
    """What is wrong with an address; ``special`` ones lead nowhere or to the node itself, which externalIPs may not."""
    if not is_ip(ip):
        yield invalid(key, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", mend)
        return
    at = ipaddress.ip_address(ip)
    if special:
        return
    if at.is_unspecified:
        yield invalid(key, ip, f"may not be unspecified ({ip})")
    elif at.is_loopback:
        yield invalid(key, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif at.is_link_local:
        yield invalid(key, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif at in ipaddress.ip_network("224.0.0.0/24") or at in ipaddress.ip_network("ff02::/16"):
        yield invalid(key, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def is_ip(text: str) -> bool:
    """Whether it is an address of either family."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_v6(text: str) -> bool:
    """Whether it is an IPv6 address."""
    return ":" in text and is_ip(text)


def is_range(text: str) -> bool:
    """Whether it is a range in CIDR notation, host bits or not."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
