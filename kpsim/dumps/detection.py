"""The tool that printed a text, and the rules in it, are detected: no user is asked for a format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kpsim.documents import Source
from kpsim.dumps import chains, ipvs, nft, verdicts
from kpsim.dumps.evidence.marks import flush, formats_of
from kpsim.dumps.evidence.masquerading import told_by_ruleset, told_by_tables
from kpsim.dumps.evidence.releases import Releases, agreed
from kpsim.dumps.findings import Address, Findings, ServicePortName, canonical
from kpsim.dumps.hooks import Hook, hooks_in
from kpsim.dumps.listing import read_listing
from kpsim.dumps.saved import Tables, read_saved
from kpsim.errors import Place, Problem
from kpsim.kube.objects import Service

_KIND = re.compile(r"(KUBE-(?:SVC|SVL|SEP|EXT|FW|XLB))-[A-Z2-7]{16}|((?:service|local|external|firewall|endpoint)-).*")

Shown = Tables | nft.Ruleset | ipvs.VirtualServers
"""What a reader of one format makes of a text."""


@dataclass(frozen=True, slots=True)
class RuleDump:
    """One text shows these service ports and rules, and these rules of others."""

    file: str
    formats: tuple[str, ...]
    mode: str = ""  # of kube-proxy's, as its rules tell it
    findings: Findings = field(default_factory=Findings)
    rules_by_chain: Mapping[str, int] = field(default_factory=dict)  # "nat KUBE-SERVICES" -> rules
    hooks: tuple[Hook, ...] = ()
    backend: str = ""
    scheduler: str = ""
    pod_ranges: tuple[str, ...] = ()  # of each family, as kube-proxy was told
    service_ranges: tuple[str, ...] = ()
    proxy: Mapping[str, object] = field(default_factory=dict)  # of a KubeProxyConfiguration, beside its mode
    releases: Releases = Releases()  # of Kubernetes', that lay rules out like these
    servers: tuple[int, int] = (0, 0)  # IPVS's virtual and real ones
    elsewhere: str = ""  # where Services' rules are, if there are none here
    warnings: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()  # those of the warnings that say what could not be read
    problems: tuple[Problem, ...] = ()  # addresses that are none, which whoever makes a scenario of it refuses
    shown: tuple[Shown, ...] = field(default=(), repr=False, compare=False)  # the rules themselves

    def notes(self) -> Iterator[str]:
        """Yield notes on the rules themselves for the reader of a scenario made from them."""
        back_end = f", {self.backend} back end" if self.backend else ""
        yield f"{self.file} is what {' and '.join(self.formats)} printed{back_end}."
        for table, counts in _by_table(self.rules_by_chain).items():
            listed = ", ".join(f"{count:,} in {name}" for name, count in counts.items())
            yield f"{table}: {sum(counts.values()):,} rules: {listed}"
        if any(self.servers):
            yield "ipvs: {:,} virtual servers with {:,} real servers".format(*self.servers)
        if self.pod_ranges:
            yield f"kube-proxy took {' and '.join(self.pod_ranges)} for the range of Pods"
        if self.releases.said:
            yield f"rules like these are of Kubernetes {self.releases} ({self.releases.said})"


def read_dump(text: str, file: str, node: str = "") -> RuleDump:
    """Return everything a text shows.

    Parameters
    ----------
    text
        what one or several of the tools printed.
    file
        what to call it in warnings.
    node
        the node it was printed on, where endpoints that only Local traffic policies use are; "" for unknown.
    """
    whole, text = text, flush(text)
    formats = formats_of(text)
    parts = [_READERS[name](text, node) for name in formats]
    findings = merged(part.findings for part in parts)
    warnings = [warning for part in parts for warning in part.warnings]
    problems = tuple(_impossible(findings.without_impossible(), Source(file, whole)))
    if findings.unnumbered:
        warnings.append(f"{findings.unnumbered:,} service ports are left out: no rule shows their number")
    modes = list(dict.fromkeys(part.mode for part in parts if part.findings.ports))
    if len(modes) > 1:
        told = " and ".join(modes)
        warnings.append(f"Services stand in rules of {told}, and a kube-proxy writes one of them: {modes[0]} is taken")
    hooks = tuple(hook for part in parts for hook in part.hooks)
    if hooks:
        met = "; ".join(map(str, hooks))
        warnings.append(f"rules of others that packets meet beside kube-proxy's, which are not simulated: {met}")
    return RuleDump(
        file=file,
        formats=formats,
        mode=next((part.mode for part in parts if part.findings.ports), ""),
        findings=findings,
        rules_by_chain={name: count for part in parts for name, count in part.rules_by_chain.items()},
        hooks=hooks,
        backend=next((part.backend for part in parts if part.backend), ""),
        scheduler=next((part.scheduler for part in parts if part.scheduler), ""),
        pod_ranges=tuple(dict.fromkeys(cidr for part in parts for cidr in part.pod_ranges)),
        service_ranges=tuple(dict.fromkeys(cidr for part in parts for cidr in part.service_ranges)),
        proxy=next((part.proxy for part in parts if part.proxy), {}),
        releases=agreed(part.releases for part in parts),
        elsewhere="" if findings.ports else _elsewhere(text),
        servers=next((part.servers for part in parts if any(part.servers)), (0, 0)),
        warnings=tuple(f"{file}: {warning}" for warning in warnings),
        torn=tuple(f"{file}: {warning}" for part in parts for warning in part.torn),
        problems=problems,
        shown=tuple(shown for part in parts for shown in part.shown),
    )


def _impossible(addresses: Iterable[str], source: Source) -> Iterator[Problem]:
    """Yield a problem for each of some addresses that no rule can have, where the text first has it."""
    for ip in addresses:
        at = source.text.find(ip)
        place = source.place_at(at) if at >= 0 else Place(source.file)
        yield Problem(place, what=f"{ip[:60]!r} is not an address", text=source.excerpt(place))


def merged(findings: Iterator[Findings] | Sequence[Findings], services: Sequence[Service] = ()) -> Findings:
    """Return all findings together; nameless addresses get names from the others, or from ``services``."""
    named = Findings()
    several = list(findings)
    names: dict[Address, ServicePortName] = {}
    for service in services:
        for port in service.ports:
            at = (canonical(service.cluster_ip), port.port, port.protocol)
            names[at] = (service.namespace, service.name, port.name, port.protocol)
    for found in several:
        names |= {address: key for address, key in found.names().items() if not found.nameless(key)}
    for found in several:
        named.take(found, names)
    return named


def gaps(dumps: Sequence[RuleDump]) -> Iterator[str]:
    """Yield the gaps that several dumps of one cluster leave together, and the commands that fill them."""
    for dump in dumps:
        if dump.elsewhere and not any(other.findings.ports for other in dumps):
            yield f"{dump.file}: no rule of a Service is in it: {dump.elsewhere}"
    tables = {name.split(" ")[0] for dump in dumps if dump.mode == "iptables" for name in dump.rules_by_chain}
    for there, missing, which in (("filter", "nat", "with"), ("nat", "filter", "without")):
        if there in tables and missing not in tables:
            yield f"Services {which} endpoints are in the {missing} table: add what iptables-save -t {missing} prints"


def _elsewhere(text: str) -> str:
    """Return a hint to the place of Services' rules, as far as a text that has none says."""
    if "KUBE-CLUSTER-IP" in text:
        return "kube-proxy runs in ipvs mode; add what ipvsadm -Ln prints"
    if "jump KUBE-S" in text or '"KUBE-S' in text:
        return "kube-proxy runs in iptables mode; give what iptables-save prints"
    if "KUBE-SERVICES" in text:
        return "Services with endpoints are in the nat table; add what iptables-save -t nat prints"
    return "does kube-proxy run on this node, and in another mode?"


def _of_tables(tables: Tables, node: str) -> RuleDump:
    torn = (*tables.warnings, *_cut_off(tables))
    return RuleDump(
        file="",
        formats=(),
        mode="iptables",
        findings=chains.services_in(tables, node),
        rules_by_chain={f"{t} {name}": len(c) for t, here in tables.chains.items() for name, c in here.items()},
        hooks=hooks_in(tables),
        backend=tables.backend,
        pod_ranges=chains.pod_ranges(tables),
        proxy=told_by_tables(tables),
        releases=chains.releases_of(tables),
        warnings=(*torn, *_back_end(tables)),
        torn=torn,
        shown=(tables,),
    )


def _cut_off(tables: Tables) -> Iterator[str]:
    """Yield a warning for each table whose rules lead to kube-proxy's chains that are not there."""
    for table, here in tables.chains.items():
        missing = {r.target for rules in here.values() for r in rules if r.target.startswith("KUBE-")} - here.keys()
        if missing:
            some = "a chain" if len(missing) == 1 else f"{len(missing):,} chains"
            yield f"the {table} table is cut off: rules lead to {some} that are not in it, e.g. {min(missing)}"


def _back_end(tables: Tables) -> Iterator[str]:
    if tables.backend == "nft":
        yield "the rules are in iptables' nft back end, which costs other than the legacy one that is simulated"


def _of_virtual_servers(text: str, _: str) -> RuleDump:
    found = ipvs.read_virtual_servers(text)
    findings = ipvs.services_in(found)
    warnings = list(found.warnings)
    if found.servers:
        warnings.append("IPVS knows no names: Services are called after their addresses")
    counts = len(found.servers), sum(len(server.real) for server in found.servers)
    return RuleDump(
        file="",
        formats=(),
        mode="ipvs",
        findings=findings,
        scheduler=found.scheduler,
        servers=counts,
        warnings=tuple(warnings),
        torn=found.warnings,
        shown=(found,),
    )


def _of_ruleset(ruleset: nft.Ruleset, node: str) -> RuleDump:
    mine = [table for table in ruleset.tables if verdicts.is_kube_proxys(table)]
    return RuleDump(
        file="",
        formats=(),
        mode="nftables",
        findings=verdicts.services_in(ruleset, node),
        rules_by_chain={f"{t.family} {t.name} {n}": len(c.rules) for t in ruleset.tables for n, c in t.chains.items()},
        hooks=verdicts.hooks_in(ruleset) if mine else (),
        pod_ranges=verdicts.pod_ranges(ruleset),
        proxy=told_by_ruleset(ruleset),
        service_ranges=verdicts.service_ranges(ruleset),
        releases=verdicts.releases_of(ruleset),
        warnings=ruleset.warnings,
        torn=ruleset.warnings,
        shown=(ruleset,),
    )


_READERS: dict[str, Callable[[str, str], RuleDump]] = {
    "iptables-save": lambda text, node: _of_tables(read_saved(text), node),
    "iptables -nvL": lambda text, node: _of_tables(read_listing(text), node),
    "ipvsadm -Ln": _of_virtual_servers,
    "ipvsadm -Sn": lambda text, node: _of_virtual_servers(ipvs.listed(text), node),
    "nft list ruleset": lambda text, node: _of_ruleset(nft.read_ruleset(text), node),
    "nft -j list ruleset": lambda text, node: _of_ruleset(nft.read_json(text), node),
}


def _by_table(rules_by_chain: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the rules of each table, chains of a kind together, the largest first."""
    found: dict[str, Counter[str]] = {}
    for name, count in rules_by_chain.items():
        table, _, chain = name.rpartition(" ")
        kind = _KIND.fullmatch(chain)
        if count:
            found.setdefault(table, Counter())[(kind[1] or kind[2].rstrip("-")) + "-*" if kind else chain] += count
    return {table: dict(counts.most_common()) for table, counts in found.items()}
