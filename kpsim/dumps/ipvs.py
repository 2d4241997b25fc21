"""IPVS's virtual servers, as ``ipvsadm -Ln``, ``ipvsadm -Sn`` or ``/proc/net/ip_vs`` print them, as Services.

IPVS knows addresses and no names.  The addresses most virtual servers share a range with are ClusterIPs; one with a
port of the NodePort range and the real servers of a ClusterIP is its NodePort; another with the same port and the same
real servers is an outside address of it.  What finds no such partner is a Service by itself.  Firewall marks are not
kube-proxy's and are left out, and so are real servers of weight 0, which only finish what they have.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kpsim.dumps.findings import NAMELESS, Findings

NODE_PORTS = range(30000, 32768)

_SERVER = re.compile(r"(TCP|UDP|SCTP)\s+(\S+)\s+(\S+)(.*)")
_REAL = re.compile(r"->\s+(\S+)\s+(Masq|Route|Tunnel|Local|Bypass)\s+(-?\d+)")
_PERSISTENT = re.compile(r"persistent (\d+)")
_HEX4 = re.compile(r"([0-9A-F]{8}):([0-9A-F]{4})")
_HEX6 = re.compile(r"\[((?:[0-9a-f]{4}:){7}[0-9a-f]{4})\]:([0-9A-F]{4})")
_PLAIN = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?:(\d{1,5})")

_SAVED = re.compile(
    r"-(?P<verb>[Aa]) (?:-(?P<letter>[tuf])|--(?P<word>\w+)-service) (?P<server>\S+)"
    r"(?: -s (?P<scheduler>\S+))?(?: -r (?P<real>\S+))?(?P<rest>.*)"
)
_LONG = {
    "add-service": "A", "add-server": "a", "tcp-service": "t", "udp-service": "u", "scheduler": "s", "real-server": "r",
    "masquerading": "m", "gatewaying": "g", "ipip": "i", "weight": "w", "persistent": "p",
}  # fmt: skip
_PROTOCOLS = {"t": "TCP", "u": "UDP", "f": "FWM"}
_FORWARDED = {"m": "Masq", "g": "Route", "i": "Tunnel"}

Address = tuple[str, int]


@dataclass(slots=True)
class Server:
    """One virtual server and the real ones that take new connections."""

    protocol: str
    ip: str
    port: int
    scheduler: str
    persistent_s: int = 0
    real: list[Address] = field(default_factory=list)

    @property
    def taking(self) -> frozenset[Address]:
        """Return its real servers, in no order."""
        return frozenset(self.real)


@dataclass(frozen=True, slots=True)
class VirtualServers:
    """Everything of kube-proxy's in one node's IPVS, with warnings."""

    servers: tuple[Server, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def scheduler(self) -> str:
        """Return the scheduler most of them have."""
        found = Counter(server.scheduler for server in self.servers)
        return found.most_common(1)[0][0] if found else "rr"


def read_virtual_servers(text: str) -> VirtualServers:
    """Return all virtual servers of a text; numbers in hexadecimal are told by their length."""
    servers: list[Server] = []
    taking: Server | None = None
    odd = marks = weightless = foreign = 0
    for line in (" ".join(line.split()) for line in text.splitlines()):
        if line.startswith("->") and not line.startswith("-> RemoteAddress"):
            real = _REAL.match(line)
            address = _address(real[1]) if real else None
            odd += address is None
            if real and address and taking:
                weightless += real[3] == "0"
                foreign += real[2] != "Masq"
                taking.real += [address] if real[3] != "0" else []
        elif line.startswith("FWM "):
            marks, taking = marks + 1, None
        elif line.startswith(("TCP ", "UDP ", "SCTP ")):
            taking = _server(line)
            odd += taking is None
            servers += [taking] if taking else []
    warnings = {
        "lines that were not understood as IPVS servers, left out": odd,
        "firewall-mark virtual servers, which are not kube-proxy's, left out": marks,
        "real servers of weight 0, which only finish what they have, left out": weightless,
        "real servers not reached by masquerading, as kube-proxy's would be": foreign,
    }
    return VirtualServers(tuple(servers), tuple(f"{what}: {count:,}" for what, count in warnings.items() if count))


def listed(saved: str) -> str:
    """Return the lines of ``ipvsadm -Ln`` for what ``ipvsadm -Sn`` printed: each server, then its real ones."""
    lines: dict[str, list[str]] = {}
    long = re.compile(rf"--({'|'.join(_LONG)})(?=[ =]|$)=?")
    for line in (" ".join(line.split()) for line in saved.splitlines()):
        short = long.sub(lambda option: f"-{_LONG[option[1]]}", line)
        found = _SAVED.match(short)
        if found is None:
            lines.update({f"-> {line}": [f"-> {line}"]} if short.startswith(("-A", "-a")) else {})
            continue
        protocol = _PROTOCOLS.get(found["letter"] or "", (found["word"] or "").upper())
        options = dict(re.findall(r"-([a-zA-Z])(?: (\d+))?(?= |$)", found["rest"]))
        server = lines.setdefault(f"{protocol} {found['server']}", [])
        if found["verb"] == "A":
            timeout = f" persistent {options['p'] or 300}" if "p" in options else ""
            server.insert(0, f"{protocol} {found['server']} {found['scheduler'] or 'wlc'}{timeout}")
        elif found["real"]:
            way = next((name for letter, name in _FORWARDED.items() if letter in options), "Route")
            server.append(f"-> {found['real']} {way} {options.get('w') or 1} 0 0")
    return "\n".join(line for server in lines.values() for line in server)


def _server(line: str) -> Server | None:
    found = _SERVER.match(line)
    address = _address(found[2]) if found else None
    if not found or address is None:
        return None
    persistent = _PERSISTENT.search(found[4])
    return Server(found[1], *address, found[3], int(persistent[1]) if persistent else 0)


def _address(text: str) -> Address | None:
    """``10.96.0.1:443``, ``[fd00::1]:443``, or the same in the hexadecimal of /proc."""
    if found := _HEX4.fullmatch(text):
        return str(ipaddress.IPv4Address(int(found[1], 16))), int(found[2], 16)
    if found := _HEX6.fullmatch(text):
        return str(ipaddress.IPv6Address(found[1])), int(found[2], 16)
    found = _PLAIN.fullmatch(text)
    try:
        return (str(ipaddress.ip_address(found[1])), int(found[2])) if found else None
    except ValueError:
        return None


def services_in(found: VirtualServers) -> Findings:
    """Virtual servers as service ports, named after their addresses."""
    findings = Findings()
    inside = _cluster_range(found.servers)
    served = {(s.protocol, s.taking) for s in found.servers if s.real and s.port not in NODE_PORTS}
    main = [
        s
        for s in found.servers
        if _block(s.ip) in inside and not (s.port in NODE_PORTS and (s.protocol, s.taking) in served)
    ]
    known = {id(server) for server in main}
    partners: dict[tuple[str, frozenset[Address]], list[Server]] = {}
    for server in main:
        at = findings.at(NAMELESS, _name(server.ip), f"{server.protocol.lower()}-{server.port}", server.protocol)
        at.port, at.affinity_s = server.port, server.persistent_s
        at.cluster_ips[server.ip] = None
        for ip, port in server.real:
            at.add_endpoint(ip, port)
        partners.setdefault((server.protocol, server.taking), []).append(server)
    for server in found.servers:
        if id(server) not in known:
            _outside(findings, server, partners.get((server.protocol, server.taking), []))
    return findings


def _outside(findings: Findings, server: Server, partners: Sequence[Server]) -> None:
    """A virtual server at an address that is no ClusterIP."""
    node_port = server.port in NODE_PORTS
    same = [
        partner
        for partner in partners
        if (node_port or partner.port == server.port) and (":" in partner.ip) == (":" in server.ip)
    ]
    if len(same) == 1 and server.real:
        name, number = _name(same[0].ip), same[0].port
    else:
        name, number = _name(server.ip), server.port
    at = findings.at(NAMELESS, name, f"{server.protocol.lower()}-{number}", server.protocol)
    at.port = at.port or number
    at.affinity_s = at.affinity_s or server.persistent_s
    if node_port and number != server.port:
        at.node_port = at.node_port or server.port
    else:
        at.external_ips[server.ip] = None
    for ip, port in server.real:
        at.add_endpoint(ip, port)


def _cluster_range(servers: Iterable[Server]) -> list[str]:
    """Return the first two bytes that most addresses share, for each family; a first address' port 443 counts more."""
    found: dict[bool, Counter[str]] = {}
    for server in servers:
        if server.port not in NODE_PORTS:
            weight = 3 if server.port == 443 and server.ip.endswith(".1") else 1
            found.setdefault(":" in server.ip, Counter())[_block(server.ip)] += weight
    return [counts.most_common(1)[0][0] for counts in found.values()]


def _block(ip: str) -> str:
    return ipaddress.ip_address(ip).exploded[:14] if ":" in ip else ".".join(ip.split(".")[:2])


def _name(ip: str) -> str:
    """Return a Service's name that says its address."""
    return "ip-" + re.sub(r"[.:]", "-", ip) + ("0" if ip.endswith(":") else "")
