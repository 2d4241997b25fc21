"""Services and endpoints in kube-proxy's nftables tables: maps from addresses to chains, chains to endpoints.

Names stand in the names of chains and in the comments of elements.  Layouts: one chain an endpoint until 1.35; since
then only for session affinity, and endpoints stand in the Service's own chain; those of the node itself are in the set
hairpin-connections.  A map does not tell an external IP from a load balancer's: an
address that is no ClusterIP counts as a load balancer's where the Service has a NodePort.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kpsim.dumps.evidence.releases import Releases
from kpsim.dumps.findings import NAMELESS, Findings, PortFindings, canonical
from kpsim.dumps.hooks import DEEPEST, Hook
from kpsim.dumps.nft import Chain, Element, NftTable, Ruleset

BEFORE_1_30 = -101  # the priority of filter chains that run before addresses are translated

_CHAIN = re.compile(r"(service|local|external|firewall)-([A-Z2-7]{8})-([^/]+)/([^/]+)/(tcp|udp|sctp)/(.*)")
_LABEL = re.compile(r"([^/\s]+)/([^:\s]+)(?::(\S*))?")
_LEADS = re.compile(r"(?:goto|jump) (\S+?)(?=[,\s}]|$)")
_DNAT = re.compile(r"dnat (?:ip6? )?to (?:\[(?P<ip6>[0-9a-fA-F.:]+)\]|(?P<ip>[0-9.]+)):(?P<port>\d+)")
_PAIRS = re.compile(r": ([0-9a-fA-F.:]+) \. (\d+)")
_ENDPOINT = re.compile(r"endpoint-.*__\[?([0-9a-fA-F.:]+?)\]?/(\d+)")
_OTHERS = re.compile(r"ip6? saddr != (?:\{([^}]*)\}|(\S+)) (drop|jump mark-for-masquerade|meta mark set)")
_PODS = re.compile(r"ip6? saddr ([0-9a-fA-F.:]+/\d+) goto service-")
_UNALLOCATED = re.compile(r"^ip6? daddr (?:\{([^}]*)\}|([0-9a-fA-F.:]+/\d+)) drop")
_ONE_RULE = re.compile(r"dnat (?:ip6? )?(?:addr \. port )?to numgen")
_KNOWN = re.compile(r"ip6? saddr @(\S+) goto")


def is_kube_proxys(table: NftTable) -> bool:
    """Return True if a table is kube-proxy's own."""
    return table.name == "kube-proxy"


def services_in(ruleset: Ruleset, node: str = "") -> Findings:
    """Return every service port of kube-proxy's tables; ``node`` is where Local traffic policies keep traffic."""
    findings = Findings()
    for table in filter(is_kube_proxys, ruleset.tables):
        _Reader(table, findings, node).read()
    return findings


def pod_ranges(ruleset: Ruleset) -> tuple[str, ...]:
    """Return the ranges of Pods that kube-proxy was told, of each family, by what it does not masquerade."""
    found: dict[str, None] = {}
    for table in filter(is_kube_proxys, ruleset.tables):
        for name, chain in table.chains.items():
            if name == "services" or name.startswith(("service-", "local-", "external-")):
                for rule in chain.rules:
                    others, pods = _OTHERS.search(rule), _PODS.search(rule)
                    if others and others[3] != "drop" and others[2]:
                        found[others[2]] = None
                    elif pods:
                        found[pods[1]] = None
    return tuple(found)


def service_ranges(ruleset: Ruleset) -> tuple[str, ...]:
    """Return the ranges ClusterIPs come from, by what kube-proxy drops because it is not allocated."""
    rules = [
        rule
        for table in filter(is_kube_proxys, ruleset.tables)
        for rule in table.chains.get("cluster-ips-check", Chain()).rules
    ]
    found = [match[1] or match[2] for match in map(_UNALLOCATED.match, rules) if match]
    return tuple(dict.fromkeys(cidr.strip() for listed in found for cidr in listed.split(",")))


def releases_of(ruleset: Ruleset) -> Releases:
    """Return the releases of Kubernetes that lay tables out like these."""
    mine = [table for table in ruleset.tables if is_kube_proxys(table)]
    if not mine:
        return Releases()
    if any("hairpin-connections" in table.elements for table in mine):
        return Releases((1, 36), said="a set hairpin-connections")
    rules = (rule for table in mine for chain in table.chains.values() for rule in chain.rules)
    if any(_ONE_RULE.search(rule) for rule in rules):
        return Releases((1, 36), said="one rule a Service, which chooses and translates")
    if any("cluster-ips" in table.elements for table in mine):
        return Releases((1, 30), (1, 35), "a set cluster-ips and no set hairpin-connections")
    if any(chain.hook and chain.priority == BEFORE_1_30 for table in mine for chain in table.chains.values()):
        return Releases((1, 29), (1, 29), "hooks right before dstnat")
    return Releases()


class _Reader:
    """Goes through the maps of one table."""

    def __init__(self, table: NftTable, findings: Findings, node: str) -> None:
        self._table = table
        self._findings = findings
        self._node = node
        self._cluster_ips = {canonical(element.key[0]) for element in self._elements("cluster-ips")}
        hairpins = [element.key for element in self._elements("hairpin-connections")]
        self._here = {(canonical(key[0]), key[3]) for key in hairpins if key[3:]}

    def _elements(self, name: str) -> list[Element]:
        return self._table.elements.get(name, [])

    def read(self) -> None:
        """NodePorts first: whether there is one says what other addresses are."""
        for element in self._elements("service-nodeports"):
            found = self._of_chain(element)
            if found:
                found.node_port = _number(element, 1)
        for element in self._elements("no-endpoint-nodeports"):
            found = self._of_comment(element, element.key[0])
            if found:
                found.node_port = _number(element, 1)
                found.external_local |= element.value == "drop"
        for element in self._elements("service-ips"):
            self._address(element, self._of_chain(element), element.value.removeprefix("goto "))
        for element in self._elements("no-endpoint-services"):
            self._address(element, self._of_comment(element, element.key[1] if len(element.key) == 3 else ""), "")
        for element in self._elements("firewall-ips"):
            found = self._of_chain(element)
            if found and len(element.key) == 3:
                found.external_ips.pop(canonical(element.key[0]), None)
                found.load_balancer_ips[canonical(element.key[0])] = None
                found.source_ranges.update(dict.fromkeys(self._ranges(element.value.removeprefix("goto "))))
        for name in self._table.chains:
            self._read_chain(name)

    def _of_chain(self, at: Element) -> PortFindings | None:
        """Return the service port of the chain an element leads to."""
        said = _CHAIN.fullmatch(at.value.removeprefix("goto "))
        if said:
            return self._findings.at(said[3], said[4], said[6], said[5])
        if not at.value.startswith("goto ") or len(at.key) < 2:
            return None
        return self._findings.at(NAMELESS, "svc-" + re.sub(r"[^a-z0-9]+", "-", at.value[5:].lower()), "", at.key[-2])

    def _of_comment(self, at: Element, protocol: str) -> PortFindings | None:
        said = _LABEL.fullmatch(at.comment)
        return self._findings.at(said[1], said[2], said[3] or "", protocol) if said and protocol else None

    def _address(self, at: Element, found: PortFindings | None, chain: str) -> None:
        """An address and a port of a service port; ``chain`` is "" where there are no endpoints."""
        if found is None or not _number(at, 2):
            return
        ip = canonical(at.key[0])
        found.port = _number(at, 2)
        local = at.value == "drop"
        if ip in self._cluster_ips or chain.startswith(("service-", "local-")):
            found.cluster_ips[ip] = None
            found.internal_local |= local or chain.startswith("local-")
        else:
            found.external_local |= local
            (found.load_balancer_ips if found.node_port else found.external_ips)[ip] = None

    def _read_chain(self, name: str) -> None:
        said = _CHAIN.fullmatch(name)
        if not said:
            return
        found = self._findings.at(said[3], said[4], said[6], said[5])
        rules = self._table.chains[name].rules
        if said[1] == "external":
            found.external_local |= any(" local-" in f" {rule}" or "saddr type local" in rule for rule in rules)
        if said[1] not in ("service", "local"):
            return
        for rule in rules:
            known = _KNOWN.search(rule)
            if known:
                found.affinity_s = self._table.timeouts_s.get(known[1], 10800)
            for ip, port in self._endpoints(rule):
                here = said[1] == "local" or (canonical(ip), str(port)) in self._here
                found.add_endpoint(ip, port, self._node if here else "")

    def _endpoints(self, rule: str) -> Iterator[tuple[str, int]]:
        """Yield the endpoints (ip, port) that a rule of a Service's chain leads to: itself, or by endpoints' chains."""
        if "dnat" in rule:
            yield from _destinations(rule)
        for chain in _LEADS.findall(rule):
            if not chain.startswith("endpoint-"):
                continue
            found = [to for inner in self._table.chains.get(chain, Chain()).rules for to in _destinations(inner)]
            named = _ENDPOINT.fullmatch(chain)
            yield from found or ([(named[1], int(named[2]))] if named else [])

    def _ranges(self, chain: str) -> Iterator[str]:
        for rule in self._table.chains.get(chain, Chain()).rules:
            found = _OTHERS.search(rule)
            if found and found[3] == "drop":
                for source in (found[1] or found[2]).split(","):
                    bare = source.strip()
                    yield bare if "/" in bare else f"{bare}/{128 if ':' in bare else 32}"


def _number(at: Element, place: int) -> int:
    """Return the port in an element's key, 0 if there is none."""
    text = at.key[place] if place < len(at.key) else ""
    return int(text) if re.fullmatch(r"\d{1,5}", text) else 0


def _destinations(rule: str) -> Iterator[tuple[str, int]]:
    found = _DNAT.search(rule)
    if found:
        yield found["ip6"] or found["ip"], int(found["port"])
    elif "dnat" in rule:
        yield from ((ip, int(port)) for ip, port in _PAIRS.findall(rule))


def hooks_in(ruleset: Ruleset) -> tuple[Hook, ...]:
    """Return every hook at which others have rules, before and after kube-proxy's by priority."""
    mine: dict[tuple[str, str], int] = {}
    for table in filter(is_kube_proxys, ruleset.tables):
        for chain in table.chains.values():
            if chain.hook:
                at = (chain.kind, chain.hook)
                mine[at] = min(mine.get(at, chain.priority), chain.priority)
    found: dict[tuple[str, str], list[int]] = {}
    for table in ruleset.tables:
        for chain in () if is_kube_proxys(table) else table.chains.values():
            if chain.hook:
                late = chain.priority >= mine.get((chain.kind, chain.hook), chain.priority + 1)
                counts = found.setdefault((chain.kind, chain.hook), [0, 0])
                counts[late] += _met(table, chain, {})
    return tuple(Hook(kind, hook, *counts) for (kind, hook), counts in found.items() if any(counts))


def _met(table: NftTable, chain: Chain, known: dict[str, int], depth: int = 0) -> int:
    """Return the number of a chain's rules that every packet meets, those behind unconditional jumps included."""
    count = 0
    for rule in chain.rules:
        count += 1
        bare = re.sub(r'counter( packets \d+ bytes \d+)?|comment "[^"]*"', "", rule).split()
        if len(bare) == 2 and bare[0] in ("jump", "goto") and bare[1] in table.chains and depth < DEEPEST:
            if bare[1] not in known:
                known[bare[1]] = 0  # what leads back to itself counts no more
                known[bare[1]] = _met(table, table.chains[bare[1]], known, depth + 1)
            count += known[bare[1]]
        if bare in (["accept"], ["drop"], ["return"]) or bare[:1] == ["goto"]:
            break
    return count
