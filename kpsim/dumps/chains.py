"""Services and endpoints in kube-proxy's netfilter chains, whatever release wrote them and whatever tool printed them.

A Service with endpoints is a rule in nat KUBE-SERVICES that leads to a chain of its own; one without is a rule that
refuses in the filter table.  Names stand in comments.  Layouts: two rules a service port before about 1.23 (mark and
jump), KUBE-XLB before 1.24, KUBE-EXT and KUBE-SVL since.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from kpsim.dumps.evidence.releases import Releases, agreed
from kpsim.dumps.findings import NAMELESS, Findings, PortFindings, canonical
from kpsim.dumps.saved import SERVICE_CHAIN, Tables
from kpsim.proxy.rules import Rule

LABEL = re.compile(r"(?P<namespace>[^/\s]+)/(?P<name>[^:\s]+?)(?::(?P<port>\S*))?(?:\s+(?P<what>.*))?")
ARROW = re.compile(r"-> \[?(?P<ip>[0-9a-fA-F.:]+?)\]?:(?P<port>\d+)$")
SECONDS = re.compile(r"(?:--seconds|seconds:) (\d+)")

Chains = Mapping[str, Sequence[Rule]]
PortName = tuple[str, str, str, str]


def services_in(tables: Tables, node: str = "") -> Findings:
    """Return every service port in the nat and filter tables; Local policies keep traffic on ``node``."""
    findings = Findings()
    nat, filtered = tables.chains.get("nat", {}), tables.chains.get("filter", {})
    for suffix, name in _names(nat).items():
        _read_chains(findings.at(*name), nat, suffix, node)
    for chain in ("KUBE-SERVICES", "KUBE-NODEPORTS"):
        for rule in nat.get(chain, ()):
            _read_entrance(findings, nat, chain, rule)
    for chain in ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS"):
        for rule in filtered.get(chain, ()):
            _read_refusal(findings, chain, rule)
    return findings


def pod_ranges(tables: Tables) -> tuple[str, ...]:
    """Return the ranges of Pods that kube-proxy was told, by what it does not masquerade; none if it does not show."""
    found: dict[str, None] = {}
    for chain, rules in tables.chains.get("nat", {}).items():
        if chain == "KUBE-SERVICES" or SERVICE_CHAIN.fullmatch(chain):
            for rule in rules:
                if rule.target == "KUBE-MARK-MASQ" and rule.source.startswith("!"):
                    found[rule.source[1:]] = None
                elif rule.source and "pod traffic" in rule.comment and "/" in rule.source.strip("!"):
                    found[rule.source] = None
    return tuple(found)


def releases_of(tables: Tables) -> Releases:
    """Return the releases of Kubernetes that lay chains out like these, by what was new in one or last in another."""
    nat, filtered = tables.chains.get("nat", {}), tables.chains.get("filter", {})
    if not any(SERVICE_CHAIN.fullmatch(name) for name in nat) and "KUBE-EXTERNAL-SERVICES" not in filtered:
        return Releases()
    counted = any("nfacct" in rule.counts for here in (nat, filtered) for rules in here.values() for rule in rules)
    old = any(name.startswith("KUBE-XLB-") and rules for name, rules in nat.items())
    split = any(name.startswith(("KUBE-EXT-", "KUBE-SVL-")) for name in nat)
    walled = "KUBE-PROXY-FIREWALL" in filtered
    signs = (
        Releases(last=(1, 23), said="KUBE-XLB") if old else Releases(),
        Releases((1, 24), said="KUBE-EXT or KUBE-SVL") if split else Releases(),
        Releases((1, 25), said="KUBE-PROXY-FIREWALL") if walled else Releases(),
        Releases(last=(1, 24), said="no KUBE-PROXY-FIREWALL")
        if "KUBE-FORWARD" in filtered and not walled
        else Releases(),
        Releases((1, 31), said="rules that count with nfacct") if counted else Releases(),
    )
    return agreed(signs)


def _label(rule: Rule) -> tuple[PortName, str] | None:
    """Return (service port, the words beside it) that a rule's comment names."""
    said = LABEL.fullmatch(rule.comment)
    if not said:
        return None
    return (said["namespace"], said["name"], said["port"] or "", (rule.protocol or "tcp").upper()), said["what"] or ""


def _named(rule: Rule, suffix: str) -> PortName:
    said = _label(rule)
    return said[0] if said else (NAMELESS, f"svc-{suffix.lower()}", "", (rule.protocol or "tcp").upper())


def _names(nat: Chains) -> dict[str, PortName]:
    """Return the service port of each set of chains: they share the last 16 characters of their names."""
    found: dict[str, PortName] = {}
    for chain in ("KUBE-SERVICES", "KUBE-NODEPORTS"):
        for rule in nat.get(chain, ()):
            leads = SERVICE_CHAIN.fullmatch(rule.target)
            if leads:
                found.setdefault(leads[2], _named(rule, leads[2]))
    return found


def _read_entrance(findings: Findings, nat: Chains, chain: str, rule: Rule) -> None:
    """A rule that leads to a service port: from one of its addresses, or from its NodePort."""
    leads = SERVICE_CHAIN.fullmatch(rule.target)
    if not leads:
        return
    found = findings.at(*_named(rule, leads[2]))
    if chain == "KUBE-NODEPORTS":
        found.node_port = found.node_port or rule.port
        return
    found.port = found.port or rule.port
    ip, said = canonical(rule.destination), _label(rule)
    what = said[1] if said else ""
    if not ip or "/" in ip:
        return
    if "cluster IP" in what or (not what and leads[1] in ("SVC", "SVL")):
        found.cluster_ips[ip] = None
        found.internal_local |= leads[1] == "SVL"
    elif "loadbalancer" in what or (not what and leads[1] in ("FW", "XLB")):
        found.load_balancer_ips[ip] = None
        ranges = [r.source for r in nat.get(f"KUBE-FW-{leads[2]}", ()) if r.source and not r.source.startswith("!")]
        found.source_ranges.update((cidr, None) for cidr in map(_range, ranges) if cidr.split("/")[0] != ip)
    else:
        found.external_ips[ip] = None


def _range(source: str) -> str:
    return source if "/" in source else f"{source}/{128 if ':' in source else 32}"


def _read_chains(found: PortFindings, nat: Chains, suffix: str, node: str) -> None:
    """Read a service port's own chains: the endpoints that take its traffic, and its policies."""
    for kind, where in (("SVC", ""), ("SVL", node), ("XLB", node)):
        rules = nat.get(f"KUBE-{kind}-{suffix}", ())
        for ip, port in _endpoints(nat, rules):
            found.add_endpoint(ip, port, where)
        for rule in rules:
            seconds = SECONDS.search(rule.match)
            if seconds and rule.target.startswith("KUBE-SEP-"):
                found.affinity_s = int(seconds[1])
    outside = nat.get(f"KUBE-EXT-{suffix}", ())
    found.external_local |= f"KUBE-XLB-{suffix}" in nat or any(rule.source_type for rule in outside)


def _endpoints(nat: Chains, rules: Sequence[Rule]) -> Iterator[tuple[str, int]]:
    for rule in rules:
        if not rule.target.startswith("KUBE-SEP-"):
            continue
        met = False
        for last in nat.get(rule.target, ()):
            if last.to:
                met = True
                ip, _, port = last.to.rpartition(":")
                yield ip, int(port)
        said = ARROW.search(rule.comment)
        if not met and said:  # the endpoint's own chain is cut off
            yield said["ip"], int(said["port"])


def _read_refusal(findings: Findings, chain: str, rule: Rule) -> None:
    """A rule of the filter table that names a service port: nobody serves it, or nobody here may."""
    said = _label(rule)
    if not said:
        return
    name, what = said
    if chain == "KUBE-NODEPORTS":
        if "health check" in what:
            _port_of(findings, name).health_check_node_port = rule.port
        return
    if "endpoints" not in what:
        return
    found = findings.at(*name)
    ip = canonical(rule.destination)
    if chain == "KUBE-SERVICES":
        found.internal_local |= rule.target == "DROP"
        found.port = found.port or rule.port
        found.cluster_ips[ip] = None
        return
    found.external_local |= rule.target == "DROP"
    if rule.destination_type == "LOCAL" or not ip:
        found.node_port = found.node_port or rule.port
    else:
        found.port = found.port or rule.port
        if ip not in found.load_balancer_ips:
            found.external_ips[ip] = None


def _port_of(findings: Findings, name: PortName) -> PortFindings:
    """Return the findings on a health check's port: its rule is of TCP, whatever the service port's protocol is."""
    same = [key for key in findings.ports if key[:3] == name[:3]]
    return findings.ports[same[0]] if same else findings.at(*name)
