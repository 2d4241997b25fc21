"""Every packet's story has this shape, these words for a verdict, and these questions for addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from kpsim.errors import InputError, Place, Problem

MOST_PORT = 65_535
OUTSIDE = {"IPv4": "203.0.113.77", "IPv6": "2001:db8:ffff::77"}  # nobody has it: a client outside the cluster
UNKNOWN = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}  # documentation's, for a node whose own address nobody told
PODS = {"IPv4": "10.0.0.0/8", "IPv6": "fd00::/8"}  # where nothing says what Pods are

VERDICTS = {
    "DROP": "dropped: the client waits, sends its SYN again, and times out",
    "REJECT": "rejected: the client is told at once (ICMP port unreachable)",
    "ACCEPT": "accepted by the node itself",
    "none": "untouched: no rule of kube-proxy's is about it",
}


@dataclass(frozen=True, slots=True)
class PacketStory:
    """A packet's way through a node, in sentences."""

    headline: str
    met: tuple[str, ...]
    verdict: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def sent(endpoints: tuple[str, ...], masqueraded: bool) -> str:
    """Return a packet's destination and the sender that its endpoint sees, in words."""
    how = "masqueraded: the endpoint sees the node's address" if masqueraded else "the endpoint sees the client"
    return f"sent to {' or '.join(endpoints)}, {how}"


def address(text: str, option: str) -> str:
    """Return an address as Kubernetes writes it.  Raises :class:`InputError` if it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        words = ", pod, node or outside" if option == "--from" else ""
        problem = Problem(Place(), key=option, what=f"{text!r} is no address", mend=f"write an address{words}")
        raise InputError([problem]) from None


def named(text: str) -> tuple[str, str] | None:
    """Return a Service of ``--to`` as ``namespace/name``, and its port; ``None`` where ``text`` is ``ip:port``.

    A name alone is one in the namespace default.
    """
    name, _, port = text.partition(":")
    if "/" in name:
        return name, port
    if not name or ":" in port or "[" in text or name.replace(".", "").isdecimal():
        return None
    return f"default/{name}", port


def socket(text: str) -> tuple[str, int]:
    """Return ``ip:port`` of ``--to``.  Raises :class:`InputError` if it is neither that nor a Service's name."""
    ip, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > MOST_PORT:
        what = f"{text!r} is neither ip:port nor namespace/name"
        raise InputError([Problem(Place(), key="--to", what=what, mend="e.g. default/web:80 or 10.96.0.10:53")])
    return address(ip.strip("[]"), "--to"), int(port)
