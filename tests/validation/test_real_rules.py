"""Rules of real kube-proxies, as their kernels held them, against kpsim's: whole, after a change, and what was sent.

The dumps are not part of the project: ``KPSIM_REAL_RULES`` names a folder of cases (``CASE/objects.json``,
``change.json`` and ``VERSION-MODE/`` with the configuration, iptables-save or nft listings and the partial texts).
Order is free in chains that kube-proxy writes in random order.  nft listings are compared by their statements.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kpsim.explain.packet import NodeRules
from kpsim.modes.iptables.text import restore_lines
from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.text import transaction_lines
from kpsim.modes.nftables.transaction import operations
from kpsim.scenario.reader import read
from tests.models.iptables_writer import stale_chains

FOLDER = os.environ.get("KPSIM_REAL_RULES", "")
CASES = sorted(Path(FOLDER).glob("*/1.*-*/")) if FOLDER else []
UNORDERED = {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}
IMPLIED = {"tcp", "udp", "sctp", "mark", "comment", "conntrack", "addrtype", "statistic", "recent"}
PROTOCOLS = {"6": "tcp", "17": "udp", "132": "sctp"}
CHANCE = {  # of an address in two slices the one that Go's map gives first is taken
    "c15-namedports/1.30-nftables"
}

pytestmark = pytest.mark.skipif(not CASES, reason="KPSIM_REAL_RULES names no folder of real rules")

Chains = dict[tuple[str, str], list[tuple[str, ...]]]


def text(path: Path) -> str:
    packed = path.with_name(path.name + ".gz")
    if packed.exists():
        return gzip.decompress(packed.read_bytes()).decode()
    if not path.exists():
        pytest.skip(f"there is no {path.name}")
    return path.read_text()


def objects(case: Path, *, changed: bool) -> dict[str, object]:
    def key(at: dict[str, object]) -> tuple[object, ...]:
        metadata = at["metadata"]
        assert isinstance(metadata, dict)
        return at["kind"], metadata.get("namespace"), metadata["name"]

    whole: dict[str, object] = json.loads((case / "objects.json").read_text())
    items = whole["items"]
    assert isinstance(items, list)
    new = {key(at): at for at in json.loads((case / "change.json").read_text())} if changed else {}
    return whole | {"items": [new.pop(key(at), at) for at in items] + list(new.values())}


def node_rules(at: Path, folder: Path, *, changed: bool = False, family: str = "IPv4") -> NodeRules:
    """kpsim's rules of node-0 for one case and version."""
    version, mode = at.name.split("-")
    told = folder / f"objects-{changed}.json"
    told.write_text(json.dumps(objects(at.parent, changed=changed)))
    config = (at / "config.yaml").read_text().splitlines()
    kept = [line for line in config if not re.match(r"conntrack|clientConnection|metricsBind|healthzBind|host", line)]
    made = folder / "scenario.yaml"
    families = ["    ipFamilies: [IPv4, IPv6]"] if "dualstack" in at.parent.name else []
    lines = [
        "apiVersion: kpsim/v1alpha1", "kind: Scenario", "metadata: {name: case}", "spec:",
        f'  kubernetes: {{version: "{version}"}}', "  cluster:", "    nodes: 3", "    zones: 3",
        "    podCIDR: 10.128.0.0/9", "    serviceClusterIPRange: 10.96.0.0/12", *families,
        f"  importFrom: [{told.name}]", "  kubeProxy:", *(f"    {line}" for line in kept),
    ]  # fmt: skip
    made.write_text("\n".join(lines) + "\n")
    return NodeRules.of(read(made, [("kubeProxy.mode", mode)]), "node-0", family)


def changed_services(at: Path) -> set[str]:
    found = set()
    for one in json.loads((at.parent / "change.json").read_text()):
        metadata = one["metadata"]
        name = metadata.get("labels", {}).get("kubernetes.io/service-name", metadata["name"])
        found.add(f"{metadata['namespace']}/{name}")
    return found


def number(value: str) -> str:
    return hex(int(value, 16)) if re.fullmatch("0x[0-9a-f]+", value) else value


def parsed(line: str) -> tuple[str, tuple[str, ...]]:
    """A rule's chain, and its parts without what iptables implies."""
    words = shlex.split(line)
    out, negated, i = [], "", 2
    while i < len(words):
        word, i = words[i], i + 1
        if word == "!":
            negated = "! "
            continue
        values = []
        while i < len(words) and not words[i].startswith("-") and words[i] != "!":
            values.append(words[i])
            i += 1
        if not ((word == "-m" and values[0] in IMPLIED) or word in ("--mask", "--rsource", "--reject-with")):
            out.append(negated + _option(word, values))
        negated = ""
    return words[1], tuple(sorted(out))


def _option(word: str, values: list[str]) -> str:
    """One option as iptables-save writes it, numbers in one form."""
    if word in ("-s", "-d"):
        values = [str(ipaddress.ip_network(values[0], strict=False))]
    elif word in ("--mark", "--set-xmark"):
        values = ["/".join(number(v) for v in values[0].split("/"))]
    elif word in ("--xor-mark", "--or-mark"):
        mask = "0x0" if word == "--xor-mark" else number(values[0])
        word, values = "--set-xmark", [f"{number(values[0])}/{mask}"]
    elif word == "--probability":
        values = [f"{float(values[0]):.6f}"]
    return " ".join([word, *values])


def chains(lines: Iterable[str]) -> Chains:
    """Every KUBE- chain of iptables text, rule by rule, with what is deleted under the name -X."""
    table, found = "", defaultdict[tuple[str, str], list[tuple[str, ...]]](list)
    for line in lines:
        bare = line.strip()
        if bare.startswith("*"):
            table = bare[1:]
        elif bare.startswith(":KUBE") and "CANARY" not in bare:
            found[table, bare[1:].split()[0]] += []
        elif bare.startswith("-A KUBE"):
            chain, rule = parsed(bare)
            found[table, chain].append(rule)
        elif bare.startswith("-X"):
            found[table, "-X"].append((bare.split()[1],))
    free = UNORDERED | {"-X"}
    return {key: sorted(rules) if key[1] in free else rules for key, rules in found.items() if key[0] != "mangle"}


def large(found: NodeRules) -> bool:
    return sum(len(state.endpoints) for state in found.states) > found.config.large_cluster_endpoints


def ids(at: Path) -> str:
    return f"{at.parent.name}/{at.name}"


IPTABLES = [at for at in CASES if at.name.endswith("iptables")]
NFTABLES = [at for at in CASES if at.name.endswith("nftables")]


@pytest.mark.parametrize("at", IPTABLES, ids=ids)
def test_iptables_are_those_of_the_kernel(at: Path, tmp_path: Path) -> None:
    assert chains(node_rules(at, tmp_path).text()) == chains(text(at / "iptables-save.txt").splitlines())


@pytest.mark.parametrize("at", IPTABLES, ids=ids)
def test_iptables_after_the_change_too(at: Path, tmp_path: Path) -> None:
    found = node_rules(at, tmp_path, changed=True)
    after, real = chains(found.text()), chains(text(at / "iptables-save-after.txt").splitlines())
    if large(found):  # stale chains stay for a syncPeriod
        real = {key: rules for key, rules in real.items() if key in after or rules}
        real = {key: rules for key, rules in real.items() if key in after or "SEP" not in key[1]}
    assert after == real


@pytest.mark.parametrize("at", IPTABLES, ids=ids)
def test_ip6tables(at: Path, tmp_path: Path) -> None:
    real = chains(text(at / "ip6tables-save.txt").splitlines())
    assert chains(node_rules(at, tmp_path, family="IPv6").text()) == real


@pytest.mark.parametrize("at", IPTABLES, ids=ids)
def test_what_is_restored_after_the_change(at: Path, tmp_path: Path) -> None:
    sent = text(at / "iptables-restore-change.txt")
    before, found = node_rules(at, tmp_path), node_rules(at, tmp_path, changed=True)
    full = found.mode.runner(found.scenario.kubernetes_version).full_s is None
    stale = () if large(found) else stale_chains(before.programmed.rules, found.programmed.rules)
    ours = restore_lines(found.programmed.rules, None if full else changed_services(at), stale)
    assert chains(ours) == chains(sent.splitlines())


@pytest.mark.parametrize("at", IPTABLES, ids=ids)
def test_iptables_total(at: Path, tmp_path: Path) -> None:
    metrics = text(at / "metrics.txt")
    family = "" if "iptables_total{table" in metrics else 'ip_family="IPv4",'
    pattern = rf'^kubeproxy_sync_proxy_rules_iptables_total\{{{family}table="(\w+)"\}} (\d+)'
    said = dict(re.findall(pattern, metrics, re.MULTILINE))
    family = "IPv4" if family else "IPv6"  # without a label, the last that wrote
    rules = node_rules(at, tmp_path, family=family).programmed.rules
    assert {table: str(rules.count(table)) for table in said} == said


def listed(listing: str, family: str) -> dict[tuple[str, ...], list[str]]:
    """The table's chains, maps and sets as a listing shows them, without comments."""
    found: dict[tuple[str, ...], list[str]] = {}
    current: tuple[str, ...] = ()
    body: list[str] = []
    table = ""
    for line in listing.splitlines():
        bare = line.strip()
        if begun := re.match(r"table (\w+) (\S+) {", bare):
            table = begun[1] if begun[2] == "kube-proxy" else ""
        elif begun := re.match(r"(chain|map|set) (\S+) {", bare):
            current, body = begun.groups(), []
        elif bare == "}" and current:
            if table == family:
                found[current] = _contents(current[0], body)
            current = ()
        elif current:
            body.append(bare)
    return found


def _contents(kind: str, body: list[str]) -> list[str]:
    if kind == "chain":
        rules = (re.sub(r'\s*comment "[^"]*"', "", rule).strip() for rule in body)
        return [canonical(rule) for rule in rules if rule and not rule.startswith("type ")]
    elements = re.search(r"elements = \{(.*)\}", " ".join(body))
    parts = (re.sub(r'\s*comment "[^"]*"', "", at).strip() for at in elements[1].split(",")) if elements else ()
    return sorted(re.sub(r"(^| )(6|17|132) \.", lambda m: f"{m[1]}{PROTOCOLS[m[2]]} .", at) for at in parts if at)


def canonical(rule: str) -> str:
    """A rule in the words of ``nft -f`` or of ``nft list``, with names for numbers."""
    rule = re.sub(r'\s*comment "[^"]*"', "", rule)
    rule = re.sub(r"0x0*([0-9a-f]+)", r"0x\1", rule).replace("= 0x0 ", "= 0 ").replace('"', "")
    rule = rule.replace("ct state 0x8", "ct state new").replace("type 2 ", "type local ")
    rule = re.sub(r"l4proto (6|17|132)\b", lambda m: f"l4proto {PROTOCOLS[m[1]]}", rule)
    rule = rule.replace("mark set mark or", "mark set mark |").replace("mark set mark xor", "mark set mark ^")
    rule = re.sub(r"\bmark and (\S+) (==|!=)", r"mark & \1 \2", rule)
    rule = re.sub(r"\bmeta mark\b", "mark", rule).replace("dnat ip addr . port to", "dnat ip to")
    rule = rule.replace("dnat ip6 addr . port to", "dnat ip6 to")
    rule = re.sub(r"\{ ([^{},]+) \} (drop|reject)", r"\1 \2", rule)
    rule = re.sub(r"\s*,\s*", ", ", rule).strip()
    return re.sub(r"saddr != \{ (.*) \}", lambda m: f"saddr != {{ {', '.join(sorted(m[1].split(', ')))} }}", rule)


def table_of(rules: NftRules) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {
        ("chain", name): [canonical(rule.text()) for rule in chain] for name, chain in rules.chains.items()
    }
    for name, elements in rules.elements.items():
        shown = (re.sub(r'\s*comment "[^"]*"', "", e.render(k)).strip("{} ") for k, e in elements.items())
        found[rules.layout.containers[name].kind, name] = sorted(shown)
    return found | {("set", name): [] for name in rules.affinity}


@pytest.mark.parametrize("changed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", NFTABLES, ids=ids)
def test_nftables_are_those_of_the_kernel(at: Path, tmp_path: Path, *, changed: bool) -> None:
    real = listed(text(at / f"nft-ruleset{'-after' * changed}.txt"), "ip")
    rules = node_rules(at, tmp_path, changed=changed).programmed.rules
    assert isinstance(rules, NftRules)
    found = table_of(rules)
    if ids(at) in CHANCE:
        pytest.xfail("the same address is in two slices, and chance takes one")
    live = {key for key in real if not (changed and key[0] == "chain" and not real[key] and "/" in key[1])}
    assert {key: real[key] for key in live} == found


@pytest.mark.parametrize("at", [at for at in NFTABLES if "dualstack" in at.parent.name], ids=ids)
def test_nftables_of_ipv6(at: Path, tmp_path: Path) -> None:
    rules = node_rules(at, tmp_path, family="IPv6").programmed.rules
    assert isinstance(rules, NftRules)
    assert table_of(rules) == listed(text(at / "nft-ruleset.txt"), "ip6")


def statements(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        head = r"((?:add|flush|delete) \w+ ip kube-proxy ?\S*) ?(.*)"
        found = re.fullmatch(head, line.strip())
        assert found, line
        yield f"{found[1]} {canonical(found[2])}".strip()


@pytest.mark.parametrize("at", NFTABLES, ids=ids)
def test_what_nft_is_sent_after_the_change(at: Path, tmp_path: Path) -> None:
    sent = text(at / "nft-ip4-change.txt").splitlines()
    before, found = node_rules(at, tmp_path), node_rules(at, tmp_path, changed=True)
    assert isinstance(before.programmed.rules, NftRules)
    assert isinstance(found.programmed.rules, NftRules)
    full = found.mode.runner(found.scenario.kubernetes_version).full_s is None
    if ids(at) in CHANCE:
        pytest.xfail("the same address is in two slices, and chance takes one")
    if not found.programmed.rules.chains:
        pytest.skip("nft refuses it")
    ours = operations(before.programmed.rules, found.programmed.rules, None if full else changed_services(at))
    lines, real = Counter(statements(transaction_lines(ours, "ip"))), Counter(statements(sent))
    if not found.programmed.rules.layout.keeps:  # a ClusterIP is added once for each of its ports
        real = Counter(dict.fromkeys(real, 1))
    assert lines == real
