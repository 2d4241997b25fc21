"""A packet on the node that a rule dump was printed on, traced through the dump's own rules as they stand."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from kpsim.dumps.detection import RuleDump, gaps
from kpsim.dumps.findings import PortFindings, ServicePortName
from kpsim.dumps.walk.journey import Journey, follow
from kpsim.dumps.walk.node import DumpedNode, node_of
from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.explain.story import OUTSIDE, PODS, UNKNOWN, VERDICTS, PacketStory, address, named, sent, socket
from kpsim.kube.server.addresses import family_of
from kpsim.proxy.node import ip_port, some_pod
from kpsim.proxy.rules import Packet

NEIGHBOURS = {"IPv4": 24, "IPv6": 64}  # length of the range in which a Pod beside a known one is looked for


def explain_dumped_packet(
    dumps: Sequence[RuleDump],
    source: str,
    destination: str,
    protocol: str = "tcp",
    *,
    node: str = "",
    node_ips: Sequence[str] = (),
) -> PacketStory:
    """Trace the first packet of a connection through the rules in ``dumps``.

    Parameters
    ----------
    dumps
        all of one node; or of several, where the files or their folders are called after their nodes.
    source
        "pod", "node", "outside" or an address.
    destination
        ``ip:port``, or a Service as ``namespace/name`` with an optional ``:port`` (number or name); from outside that
        is its load balancer's or external address, else its NodePort.
    protocol
        of an ``ip:port``.
    node
        what to call the node; the file's name says which one it is otherwise.
    node_ips
        addresses of the node, which rules ask about and mostly do not show.

    Raises
    ------
    InputError
        if one of these cannot be read, or the dumps show nothing that a packet could meet.
    """
    dumped = node_of(_of_node(dumps, node))
    _whole(dumped)
    own = [address(ip, "--node-ip") for ip in node_ips]
    said: list[str] = []
    local = [*own, *dumped.addresses]
    to, port, protocol = _destination(dumped, destination, protocol.upper(), source == "outside", local, said)
    family = family_of(to)
    mine = [ip for ip in local if family_of(ip) == family]
    packet = Packet(_source(dumped, source, family, mine, said), to, port, protocol)
    stands_in = [packet.source] if source == "node" and not mine else []
    stands_in += [to] if named(destination) and to in UNKNOWN.values() else []
    found = follow(dumped, packet, [*own, *stands_in])
    files = " and ".join(dump.file for dump in dumped.dumps)
    mode = f"kube-proxy mode {dumped.mode}" if dumped.mode else "no Service of kube-proxy's in them"
    where = f"{f' on {node}' if node else ''}, the rules of {files} as they stand, {mode}"
    asked = [] if own else [text for text in (destination, source) if "/" not in text]
    return PacketStory(
        headline=f"{packet.protocol} {packet.source} -> {ip_port(packet.destination, packet.port)}{where}",
        met=found.met,
        verdict=_verdict(found, packet),
        notes=(*_count(found), *found.notes, *said, *_not_local(dumped, found, asked)),
        warnings=tuple(dict.fromkeys([warning for dump in dumped.dumps for warning in dump.torn])),
    )


def _whole(dumped: DumpedNode) -> None:
    """Refuse what cannot be one node's rules, or shows none."""
    files = " and ".join(dump.file for dump in dumped.dumps)
    if dumped.twice:
        tables = " and ".join(dict.fromkeys(dumped.twice))
        what = f"two of these files show the {tables} table"
        mend = "give the files of one node, printed at one moment, or name it with --node if they are called after it"
    elif not dumped.hooks and not dumped.servers:
        what, mend = "holds no rule that a packet could meet", "\n    ".join(gaps(dumped.dumps))
    else:
        return
    raise InputError([Problem(Place(files), what=what, mend=mend)])


def _source(dumped: DumpedNode, text: str, family: str, mine: Sequence[str], said: list[str]) -> str:
    """Return the sender's address; what stands in for one that rules do not show is ``said``."""
    if text == "outside":
        return OUTSIDE[family]
    if text == "node":
        if not mine:
            said.append(f"The node's own address is not in the dump: {UNKNOWN[family]} stands for it (--node-ip).")
        return next(iter(mine), UNKNOWN[family])
    if text != "pod":
        return address(text, "--from")
    for cidr in dumped.pod_ranges:
        if family_of(cidr.partition("/")[0]) == family:
            return some_pod(cidr)
    taken = {ip for found in dumped.findings.ports.values() for ip, _ in found.endpoints}
    pod = _neighbour([ip for ip in taken if family_of(ip) == family], family)
    said.append(f"The range of Pods is not in the dump: {pod} stands for a Pod (--from takes an address).")
    return pod


def _neighbour(endpoints: Sequence[str], family: str) -> str:
    """Return an address that could be a Pod's, in the range most endpoints are in, and is no endpoint's."""
    ranges = Counter(str(ipaddress.ip_network(f"{ip}/{NEIGHBOURS[family]}", strict=False)) for ip in endpoints)
    most = max(ranges, key=lambda cidr: (ranges[cidr], cidr)) if ranges else PODS[family]
    network = ipaddress.ip_network(most)
    return next(str(network[-i]) for i in range(2, len(endpoints) + 3) if str(network[-i]) not in endpoints)


def _of_node(dumps: Sequence[RuleDump], node: str) -> Sequence[RuleDump]:
    """Return the dumps in files or folders that are called after the node; all of them if none is."""
    named = [PurePath(dump.file) for dump in dumps]
    mine = [d for d, path in zip(dumps, named, strict=True) if node in path.parts or path.name.startswith(f"{node}.")]
    return mine if node and mine else dumps


def _destination(
    dumped: DumpedNode, text: str, protocol: str, outside: bool, local: Sequence[str], said: list[str]
) -> tuple[str, int, str]:
    """Address, port and protocol of ``--to``; a client ``outside`` takes the Service's own way in, where it has one."""
    service = named(text)
    if service is None:
        return (*socket(text), protocol)
    name, port = service
    ports = {key: found for key, found in dumped.findings.ports.items() if _addresses(found)}
    mine = {key: found for key, found in ports.items() if f"{key[0]}/{key[1]}" == name}
    if not mine:
        mend = did_you_mean(name, {f"{key[0]}/{key[1]}" for key in ports}, "give its ip:port if you know it")
        what = f"no rule in the dump names a Service {name}"
        raise InputError([Problem(Place(), key="--to", what=what, mend=mend)])
    chosen = [item for item in mine.items() if port in ("", str(item[1].port), item[0][2])]
    if not chosen:
        listed = ", ".join(_port_name(key, found) for key, found in mine.items())
        raise InputError([Problem(Place(), key="--to", what=f"{name} has no port {port}", mend=f"it has {listed}")])
    key, found = chosen[0]
    if outside and (addresses := (*found.load_balancer_ips, *found.external_ips)):
        return addresses[0], found.port, key[3]
    if outside and found.node_port:
        family = family_of(_addresses(found)[0])
        at = next((ip for ip in local if family_of(ip) == family), UNKNOWN[family])
        if at in UNKNOWN.values():
            said.append(f"The node's own address is not in the dump: {at} stands for it (--node-ip).")
        return at, found.node_port, key[3]
    return _addresses(found)[0], found.port, key[3]


def _addresses(found: PortFindings) -> list[str]:
    """Return the addresses that a service port is reached at, its ClusterIP first."""
    return [*found.cluster_ips, *found.load_balancer_ips, *found.external_ips] if found.port else []


def _port_name(key: ServicePortName, found: PortFindings) -> str:
    return f"{found.port}{f' ({key[2]})' if key[2] else ''}"


def _verdict(found: Journey, packet: Packet) -> str:
    if found.verdict == "DNAT":
        return _sent(found)
    if found.verdict in ("DROP", "REJECT"):
        return VERDICTS[found.verdict]
    how = ", masqueraded: it is seen as coming from the node" if found.masqueraded else ""
    if found.verdict == "ACCEPT":
        return f"let through to {'the node itself' if found.here else packet.destination}, where it was going{how}"
    return f"untouched: no rule here sends it elsewhere or stops it{how}"


def _sent(found: Journey) -> str:
    """Return every endpoint in words, and the sender it sees."""
    alike = set(found.sources)
    if alike == {None}:
        ways = " or ".join(found.endpoints)
        return f"sent to {ways}; whether it is masqueraded cannot be told from the dump"
    if len(alike) == 1:
        return sent(found.endpoints, masqueraded=True in alike)
    words = {True: "masqueraded", False: "sees the client", None: "whether masqueraded cannot be told"}
    pairs = zip(found.endpoints, found.sources, strict=True)
    return f"sent to {' or '.join(f'{endpoint} ({words[seen]})' for endpoint, seen in pairs)}"


def _count(found: Journey) -> Iterator[str]:
    if found.evaluated:
        yield f"{found.evaluated:,} rules were looked at; those listed matched."
    if found.stopped:
        yield f"Chosen by nat, but stopped by a later rule: {', '.join(found.stopped)}."


def _not_local(dumped: DumpedNode, found: Journey, asked: Sequence[str]) -> Iterator[str]:
    """Yield a hint for each address the user wrote that rules asked about and that is not known as the node's."""
    ports = dumped.findings.ports.values()
    known = {ip for port in ports for ip in (*_addresses(port), *(e[0] for e in port.endpoints))}
    for text in asked:
        for ip in found.asked - known - set(OUTSIDE.values()):
            if ip in (text.strip("[]"), text.rpartition(":")[0].strip("[]")):
                yield f"{ip} was not taken for an address of the node itself; if it is one, say --node-ip {ip}."
