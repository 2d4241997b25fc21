"""A dump's own rules, walked as they stand: hooks in their order, everybody's chains, and nothing guessed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.dumps.detection import read_dump
from kpsim.dumps.walk.journey import Journey, follow
from kpsim.dumps.walk.matches import clauses_of
from kpsim.dumps.walk.node import node_of
from kpsim.kube.objects import KubeObjects
from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.modes.iptables.tracer import trace
from kpsim.modes.nftables.program import program as nft_program
from kpsim.modes.nftables.text import load_lines
from kpsim.modes.nftables.tracer import trace as nft_trace
from kpsim.proxy.node import port_states
from kpsim.proxy.rules import Packet, Trace
from tests.unit.test_dumps_damaged import damaged
from tests.unit.test_dumps_iptables import BEFORE_1_23, FILTER_LISTED, NAT_LISTED, SEP, SVC
from tests.unit.test_dumps_others import IPVSADM, NFT, PROC
from tests.unit.test_dumps_round_trip import CONFIG, clusters, packets

NODE = "192.0.2.1"


def walk(text: str, source: str, destination: str, port: int = 80, protocol: str = "TCP", *node_ips: str) -> Journey:
    return follow(node_of([read_dump(text, "dump.txt")]), Packet(source, destination, port, protocol), node_ips)


def table(*rules: str, name: str = "filter", policy: str = "ACCEPT") -> str:
    chains = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}
    built_in = chains.get(name, ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"))
    own = dict.fromkeys(rule.split()[1] for rule in rules if rule.split()[1] not in built_in)
    declared = [f":{chain} {policy} [0:0]" for chain in built_in] + [f":{chain} - [0:0]" for chain in own]
    return "\n".join([f"*{name}", *declared, *rules, "COMMIT", ""])


def told(found: Trace) -> tuple[str, frozenset[str], bool]:
    return found.verdict, frozenset(found.endpoints), found.masqueraded


# What kpsim writes is walked as its own tracers walk it.


def merged_lines(jumps: list[str], rules: list[str]) -> str:
    """One text: each table's built-in chains with their jumps before kube-proxy's own chains."""
    text = []
    for name in ("filter", "nat"):
        for lines in (jumps, rules):
            begin = lines.index(f"*{name}") + 1
            text += [f"*{name}"] * (lines is jumps) + lines[begin : lines.index("COMMIT", begin)]
        text.append("COMMIT")
    return "\n".join(text) + "\n"


@pytest.mark.parametrize("with_jumps", [True, False])
@given(objects=clusters())
@settings(max_examples=40, deadline=None)
def test_what_the_iptables_mode_prints_does_what_its_tracer_says(with_jumps: bool, objects: KubeObjects) -> None:
    rules = program(port_states(objects, CONFIG), CONFIG)
    lines = list(restore_lines(rules))
    text = merged_lines(list(jump_lines(rules)), lines) if with_jumps else "\n".join(lines) + "\n"
    dumped = node_of([read_dump(text, "d")])
    assert any("are taken as being there" in note for note in dumped.gaps()) != with_jumps
    for packet in packets(objects):
        found, wanted = follow(dumped, packet, [NODE]), trace(rules, CONFIG, packet)
        assert told(found) == told(wanted), packet
        met = {line.partition(": ")[2] for line in found.met}
        assert {line.replace("  ", " ") for line in wanted.met} <= {line.replace("  ", " ") for line in met}


def spelt(rule: str) -> str:
    """A rule as ``nft`` lists it."""
    for written, shown in (
        ("set mark or", "set meta mark |"),
        ("set mark xor", "set meta mark ^"),
        ("mark and", "mark &"),
        (" addr . port to", " to"),
    ):
        rule = rule.replace(written, shown)
    return re.sub(r"(?<!meta )mark (?=set |& )", "meta mark ", rule)


def listed(lines: list[str]) -> str:
    """The statements of a transaction as ``nft list ruleset`` shows what they make."""
    chains: dict[str, list[str]] = {}
    elements: dict[str, list[str]] = {}
    for line in lines:
        verb, kind, _, _, *rest = line.split(" ")
        if verb != "add" or kind == "table":
            continue
        name, text = rest[0], " ".join(rest[1:])
        if kind in ("set", "map"):
            elements.setdefault(name, [])
        elif kind == "element":
            elements[name].append(text.strip("{} "))
        elif kind == "chain":
            hook = re.search(r"type .* priority \S+ ;", text)
            chains[name] = [hook[0].replace(" ;", "; policy accept;")] if hook else chains.get(name, [])
        else:
            chains[name].append(spelt(text))
    blocks = [
        "\n".join([f"map {name} {{", *([f"elements = {{ {', '.join(made)} }}"] if made else []), "}"])
        for name, made in elements.items()
    ]
    blocks += ["\n".join([f"chain {name} {{", *rules, "}"]) for name, rules in chains.items()]
    return "\n".join(["table ip kube-proxy {", *blocks, "}", ""])


@pytest.mark.parametrize("version", [(1, 30), (1, 34), (1, 36)])
@given(objects=clusters())
@settings(max_examples=25, deadline=None)
def test_what_the_nftables_mode_prints_does_what_its_tracer_says(
    version: tuple[int, int], objects: KubeObjects
) -> None:
    config = replace(CONFIG, kubernetes_version=version)
    rules = nft_program(port_states(objects, config), config)
    dumped = node_of([read_dump(listed(list(load_lines(rules))), "d")])
    assert dumped.addresses == {NODE: None}, "nodeport-ips are the node's own"
    for packet in packets(objects):
        found, wanted = follow(dumped, packet), nft_trace(rules, config, packet)
        assert told(found) == told(wanted), packet
        assert not [note for note in found.notes if "could not be judged" in note]
        met = {line.removeprefix("ip kube-proxy: ") for line in found.met}
        assert {spelt(line) for line in wanted.met} <= met


# Old layouts, other people's chains, hooks and policies.


def test_the_layout_before_1_23_is_walked_like_any_other() -> None:
    pod = walk(BEFORE_1_23, "10.1.0.7", "10.96.0.7")
    assert pod.verdict == "DROP", "FORWARD's policy"
    assert pod.met[-1] == "filter: -P FORWARD DROP"
    text = BEFORE_1_23.replace(":FORWARD DROP", ":FORWARD ACCEPT")
    for source, destination, port, node_ips, verdict in (
        ("10.1.0.7", "10.96.0.7", 80, (), "DNAT"),
        ("203.0.113.7", "198.51.100.9", 443, (), "DNAT"),
        ("10.1.0.7", "198.51.100.9", 443, (), "none"),  # marked for KUBE-FIREWALL, which is not there
        ("10.1.0.7", "10.96.0.9", 80, (), "REJECT"),
        ("203.0.113.7", NODE, 30080, (NODE,), "REJECT"),
        ("203.0.113.7", NODE, 30080, (), "none"),
        ("203.0.113.7", NODE, 31443, (NODE,), "DNAT"),
    ):
        found = walk(text, source, destination, port, "TCP", *node_ips)
        assert (found.verdict, found.endpoints) == (verdict, ("10.1.0.5:8080",) if verdict == "DNAT" else ())
    floating = walk(text, "203.0.113.7", "192.0.2.77", 22)
    assert floating.endpoints == ("10.1.0.9:22",), "Calico's translation, which keeps the port"
    assert [line.split()[2] for line in floating.met[:3]] == ["PREROUTING", "cali-PREROUTING", "cali-fip-dnat"]


def test_mark_drop_drops_in_another_table() -> None:
    drop = table(
        "-A INPUT -j KUBE-FIREWALL", "-A FORWARD -j KUBE-FIREWALL",
        '-A KUBE-FIREWALL -m comment --comment "for marked packets" -m mark --mark 0x8000/0x8000 -j DROP',
    )  # fmt: skip
    text = BEFORE_1_23.partition("*filter")[0] + drop
    assert walk(text, "203.0.113.7", "198.51.100.9", 443).verdict == "DNAT"
    barred = walk(text, "198.51.100.77", "198.51.100.9", 443)
    assert barred.verdict == "DROP"
    assert barred.met[-1].endswith("-m mark --mark 0x8000/0x8000 -j DROP")
    unset = walk(table("-A FORWARD -m mark --mark 0x8000/0x8000 -j DROP"), "10.1.0.7", "10.1.0.8")
    assert unset.verdict == "none"
    assert "1 rule could not be judged and was passed over: 1 by -m mark" in unset.notes[0]


def test_hooks_come_in_the_order_of_the_kernel() -> None:
    every = [
        table(*(f"-A {hook} -j T-{name}" for hook in hooks), f"-A T-{name} -m comment --comment x", name=name)
        for name, hooks in {
            "filter": ("INPUT", "FORWARD", "OUTPUT"),
            "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
            "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
        }.items()
    ]  # fmt: skip

    def hooks(found: Journey) -> list[str]:
        lines = [line.split() for line in found.met if " -A T-" not in line]
        return [f"{table} {chain}" for table, _, chain, *_ in lines]

    text = "".join(every)
    assert hooks(walk(text, "10.1.0.7", "10.1.0.8")) == [
        "mangle: PREROUTING", "nat: PREROUTING", "mangle: FORWARD", "filter: FORWARD",
        "mangle: POSTROUTING", "nat: POSTROUTING",
    ]  # fmt: skip
    assert hooks(walk(text, "10.1.0.7", NODE, 22, "TCP", NODE)) == [
        "mangle: PREROUTING", "nat: PREROUTING", "mangle: INPUT", "filter: INPUT", "nat: INPUT",
    ]  # fmt: skip
    sent = ["mangle: OUTPUT", "nat: OUTPUT", "filter: OUTPUT", "mangle: POSTROUTING", "nat: POSTROUTING"]
    assert hooks(walk(text, NODE, "10.1.0.8", 22, "TCP", NODE)) == sent
    looped = [*sent, "mangle: PREROUTING", "mangle: INPUT", "filter: INPUT"]
    assert hooks(walk(text, "127.0.0.1", "127.0.0.1", 22)) == looped


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        (["-A FORWARD -j a", "-A a -j RETURN", "-A a -j DROP"], "none"),
        (["-A FORWARD -j a", "-A FORWARD -j REJECT", "-A a -g b", "-A a -j DROP", "-A b -j LOG"], "REJECT"),
        (["-A FORWARD -j a", "-A a -j ACCEPT", "-A FORWARD -j DROP"], "ACCEPT"),
        (["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j DROP"], "none"),
        (["-A FORWARD -m state ! --state NEW -j DROP", "-A FORWARD -i lo -j DROP"], "none"),
        (["-A FORWARD -p udp -m udp --dport 80 -j DROP", "-A FORWARD ! -p tcp -j DROP"], "none"),
        (["-A FORWARD -p tcp -m multiport --dports 22,80:90 -j DROP"], "DROP"),
        (["-A FORWARD -p tcp -m multiport ! --dports 22,80 -j DROP"], "none"),
        (["-A FORWARD -p tcp -m tcp --dport 79:81 --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"], "DROP"),
        (["-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK ACK -j DROP"], "none"),
        (["-A FORWARD -s 172.16.0.0/12,10.1.0.0/16 -j DROP"], "DROP"),
        (["-A FORWARD -m iprange --dst-range 10.1.0.1-10.1.0.7 -j DROP"], "none"),
        (["-A FORWARD -m addrtype --src-type LOCAL --dst-type LOCAL -j DROP"], "none"),
        (["-A FORWARD -m addrtype ! --dst-type LOCAL -j DROP"], "DROP"),
        (["-A FORWARD -j MARK --set-xmark 0x4/0x4", "-A FORWARD -m mark ! --mark 0x4/0x4 -j DROP"], "none"),
        (["-A FORWARD -j MARK --set-xmark 0x4/0x4", "-A FORWARD -j MARK --xor-mark 0x6",
          "-A FORWARD -m mark --mark 0x2/0x6 -j DROP"], "DROP"),
        (["-A FORWARD -j MARK --or-mark 0x6", "-A FORWARD -j MARK --and-mark 0xfffffffb",
          "-A FORWARD -m mark --mark 0x2/0x6 -j DROP"], "DROP"),
        (["-A FORWARD -j a", "-A a -m statistic --mode random --probability 0.5 -j RETURN", "-A a -j DROP"], "none"),
    ],
)  # fmt: skip
def test_third_party_rules_are_judged(rules: list[str], verdict: str) -> None:
    found = walk(table(*rules), "10.1.0.7", "10.1.0.8")
    assert found.verdict == verdict
    assert not [note for note in found.notes if "could not be judged" in note]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("-A FORWARD -i cali+ -j DROP", "-i"),
        ("-A FORWARD -o eth0 -j a", "-o"),
        ("-A FORWARD -m set --match-set cali40all src -j DROP", "-m set"),
        ("-A FORWARD -m set ! --match-set cali40all src -j DROP", "-m set"),
        ("-A FORWARD -m physdev --physdev-is-bridged -j DROP", "-m physdev"),
        ("-A FORWARD -m recent --rcheck --name x -j DROP", "-m recent"),
        ("-A FORWARD -m limit --limit 5/min -j DROP", "-m limit"),
        ("-A FORWARD -p tcp -m tcp --sport 53 -j DROP", "-m tcp"),
        ("-A FORWARD -m bpf --object-pinned /x -j DROP", "-m bpf"),
        ("-A FORWARD -m mark --mark 0x200/0xf00 -j DROP", "-m mark"),
        ("-A FORWARD -j NFQUEUE --queue-num 1", "what NFQUEUE does"),
        ("-A FORWARD -j GONE", "what GONE does"),
        ("-A FORWARD -j FORWARD", "a chain that leads back to itself"),
    ],
)
def test_what_cannot_be_judged_is_passed_over_and_said(rule: str, reason: str) -> None:
    found = walk(table(rule, "-A a -j DROP", "-A FORWARD -d 10.1.0.8/32 -j ACCEPT"), "10.1.0.7", "10.1.0.8")
    assert found.verdict == "ACCEPT"
    assert found.notes[0].startswith(f"1 rule could not be judged and was passed over: 1 by {reason} (filter: -A FORW")
    certain = walk(table(rule), "10.1.0.7", "10.1.0.8", 80, "UDP") if "tcp" in rule else None
    assert certain is None or not any("could not" in note for note in certain.notes), "another match already failed"


def test_what_does_nothing_is_not_worth_a_note() -> None:
    assert not walk(table("-A FORWARD -m limit --limit 5/min -j LOG"), "10.1.0.7", "10.1.0.8").notes[:-1]


def test_a_mark_that_may_have_been_set_is_in_doubt() -> None:
    rules = [
        "-A FORWARD -i cali+ -j a",
        "-A a -j MARK --set-xmark 0x1/0x1",
        "-A FORWARD -m mark --mark 0x1/0x1 -j DROP",
    ]
    found = walk(table(*rules), "10.1.0.7", "10.1.0.8")
    assert found.verdict == "none"
    assert "2 rules could not be judged" in found.notes[0]
    ends = walk(table(*rules, "-A a -j ACCEPT"), "10.1.0.7", "10.1.0.8")
    assert "1 rule could not be judged" in ends.notes[0], "who is marked there never comes back"


def test_every_endpoint_goes_on_by_itself() -> None:
    nat = table(
        "-A PREROUTING -j S", "-A S -d 10.96.0.7/32 -j P", "-A P -m statistic --mode nth --every 2 -j E1", "-A P -j E2",
        "-A E1 -s 10.1.0.1/32 -j M", "-A E1 -j DNAT --to-destination 10.1.0.1:8080",
        "-A E2 -j DNAT --to-destination 10.1.0.2:8080", "-A M -j MARK --or-mark 0x4000",
        "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE", name="nat",
    )  # fmt: skip
    found = walk(nat, "10.1.0.1", "10.96.0.7")
    assert (found.endpoints, found.sources) == (("10.1.0.1:8080", "10.1.0.2:8080"), (True, False))
    stopped = walk(nat + table("-A FORWARD -d 10.1.0.1/32 -j DROP"), "10.1.0.9", "10.96.0.7")
    assert (stopped.verdict, stopped.endpoints, stopped.stopped) == ("DNAT", ("10.1.0.2:8080",), ("10.1.0.1:8080",))
    both = walk(nat + table("-A FORWARD -d 10.1.0.0/24 -j REJECT"), "10.1.0.9", "10.96.0.7")
    assert (both.verdict, both.endpoints) == ("REJECT", ())


@pytest.mark.parametrize(
    ("rules", "seen"),
    [
        (["-A POSTROUTING -s 10.1.0.0/16 ! -d 10.1.0.0/16 -j MASQUERADE"], False),
        (["-A POSTROUTING -m set --match-set pools src -j MASQUERADE"], None),
        (["-A POSTROUTING -m set --match-set pools src -j MASQUERADE", "-A POSTROUTING -j MASQUERADE"], True),
        (["-A POSTROUTING -m set --match-set pools src -j RETURN", "-A POSTROUTING -j SNAT --to-source 1.2.3.4"], None),
        (["-A POSTROUTING ! -o lo -j MASQUERADE"], True),
        (["-A POSTROUTING ! -o docker0 -j MASQUERADE"], None),
        (["-A POSTROUTING -o lo -j MASQUERADE"], False),
    ],
)
def test_whether_the_source_changes_is_sure_or_said_to_be_unsure(rules: list[str], seen: bool | None) -> None:
    nat = table("-A PREROUTING -j DNAT --to-destination 10.1.0.1:8080", *rules, name="nat")
    assert walk(nat, "10.1.0.9", "10.96.0.7").sources == (seen,)


def test_translations_of_others_keep_ports_name_ranges_and_turn_to_the_node_itself() -> None:
    nat = [
        "-A PREROUTING -d 10.0.0.1/32 -j DNAT --to-destination 10.1.0.1-10.1.0.9",
        "-A PREROUTING -p tcp -m tcp --dport 8443 -j REDIRECT --to-ports 9443",
    ]
    assert walk(table(*nat, name="nat"), "10.1.0.9", "10.0.0.1").endpoints == ("10.1.0.1:80",)
    redirected = walk(table(*nat, name="nat"), "10.1.0.9", "8.8.8.8", 8443, "TCP", NODE)
    assert (redirected.endpoints, redirected.here) == ((f"{NODE}:9443",), True)
    untracked = table("-A PREROUTING -d 10.0.0.1/32 -j CT --notrack", name="raw") + table(*nat, name="nat")
    assert walk(untracked, "10.1.0.9", "10.0.0.1").verdict == "none", "who is not tracked is not translated"


def test_listings_are_walked_with_their_policies() -> None:
    text = NAT_LISTED + "\n" + FILTER_LISTED
    found = walk(text, "10.2.0.7", "10.152.183.38", 8443)
    assert (found.endpoints, found.masqueraded) == (("10.1.12.3:8443", "10.1.7.6:8443"), False)
    assert "nat: -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000" in found.met
    assert "1 by -m multiport (filter: -A FORWARD" in found.notes[0], "its source port may be the one"
    dropping = text.replace("Chain FORWARD (policy ACCEPT)", "Chain FORWARD (policy DROP)")
    assert walk(dropping, "10.1.0.7", "10.152.183.38", 8443).met[-1] == "filter: -P FORWARD DROP"


def test_missing_tables_are_said_and_local_addresses_asked_for_are_known() -> None:
    nat = BEFORE_1_23.partition("*filter")[0]
    found = walk(nat, "203.0.113.7", NODE, 31443)
    assert found.notes[-1].startswith("The filter table is not in the dump, and what it refuses is not seen")
    assert NODE in found.asked
    assert NODE not in walk(nat, "203.0.113.7", NODE, 31443, "TCP", NODE).asked
    assert walk(nat, "127.0.0.1", "127.0.0.1", 31443).verdict == "none", "the dump has no OUTPUT chain"
    named = nat.replace("-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS", f"-d {NODE}/32 -j KUBE-NODEPORTS")
    assert node_of([read_dump(named, "d")]).addresses == {NODE: None}


# nftables, IPVS, and texts that hold several things.


def test_maps_sets_and_both_generations_of_choice_are_walked() -> None:
    text = NFT.replace("set affinity-1 {\n\t\ttype ipv4_addr", "set affinity-1 {\n\t\telements = { 10.0.0.9 }")
    one = walk(text, "10.0.0.7", "172.30.0.41")
    assert (one.endpoints, one.sources) == (("10.180.0.1:8080", "10.180.0.2:8080"), (False, False))
    assert walk(text, "10.0.0.9", "172.30.0.41").endpoints == ("10.180.0.1:8080",), "a client the dump remembers"
    two = walk(text, "10.0.0.7", "172.30.0.42", 53, "UDP")
    assert two.endpoints == ("10.180.0.3:5353", "10.180.0.4:5353")
    assert "Tables of others were not walked, whatever they do: inet firewalld, ip mangle_too." in one.notes
    cut = walk(text, "11.0.0.7", "172.30.0.41").notes[0]
    assert "2 by a chain that is not in the dump (ip kube-proxy: chain service-ULMVA6XW" in cut
    assert walk(text, "10.0.0.7", "172.30.0.41", 81).verdict == "none"


def test_virtual_servers_are_looked_up() -> None:
    for text in (IPVSADM, PROC):
        found = walk(text, "10.1.0.9", "10.96.0.10", 53)
        assert (found.verdict, found.endpoints, found.sources) == ("DNAT", ("10.1.0.3:53",), (None,))
        assert found.met == ("ipvs: TCP  10.96.0.10:53 rr", "ipvs:   -> 10.1.0.3:53")
        assert "ipsets that ipvs mode has beside its virtual servers are not in the dump" in found.notes[0]
        assert walk(text, "10.1.0.9", "10.96.0.45").verdict == "REJECT"
        assert walk(text, "10.1.0.9", "10.96.0.46").verdict == "none"


def test_virtual_servers_stand_between_input_and_postrouting() -> None:
    tables = table(
        "-A INPUT -j KUBE-IPVS-FILTER", "-A FORWARD -j DROP", "-A KUBE-IPVS-FILTER -d 10.96.0.45/32 -j DROP"
    ) + table(
        "-A PREROUTING -s 10.9.0.0/16 -j M", "-A M -j MARK --or-mark 0x4000",
        "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE", name="nat",
    )  # fmt: skip
    found = walk(IPVSADM + tables, "10.9.0.9", "10.96.0.44")
    assert (found.endpoints, found.sources) == (("10.1.0.7:8080", "10.1.0.8:8080"), (True, True))
    assert walk(IPVSADM + tables, "10.8.0.9", "10.96.0.44").sources == (False, False)
    assert walk(IPVSADM + tables, "10.8.0.9", "10.96.0.45").verdict == "DROP", "before IPVS sees it"
    assert walk(IPVSADM + tables, "127.0.0.1", "10.96.0.44").endpoints == ("10.1.0.7:8080", "10.1.0.8:8080")


def test_what_the_node_sends_meets_nat_then_ipvs_then_the_filter() -> None:
    tables = table("-A OUTPUT -j LOG") + table("-A OUTPUT -j LOG", "-A POSTROUTING -j LOG", name="nat")

    def order(source: str) -> list[str]:
        return [line.split(" -")[0] for line in walk(IPVSADM + tables, source, "10.96.0.1", 443).met]

    server = ["ipvs: TCP  10.96.0.1:443 rr", "ipvs:  "]
    assert order("127.0.0.1") == ["nat:", *server, "filter:", "nat:"]
    assert order("10.1.0.9") == [*server, "filter:", "nat:"], "only what IPVS itself sends on"


def test_a_family_keeps_to_its_table() -> None:
    six = NFT.replace("table ip kube-proxy", "table ip6 kube-proxy")
    assert walk(six, "10.0.0.7", "172.30.0.41").verdict == "none"
    rules = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j KUBE-SERVICES\n"
        f"-A KUBE-SERVICES -d fd00:10::7/128 -p tcp -m tcp --dport 80 -j KUBE-SVC-{SVC}\n"
        f"-A KUBE-SVC-{SVC} -j KUBE-SEP-{SEP}\n"
        f"-A KUBE-SEP-{SEP} -p tcp -m tcp -j DNAT --to-destination [fd00::5]:8080\nCOMMIT\n"
    )
    assert walk(rules, "fd00::9", "fd00:10::7").endpoints == ("[fd00::5]:8080",)


def test_matches_are_taken_apart() -> None:
    assert clauses_of('-m mark ! --mark 0x1/0x1 ! -i lo -m comment --comment "a ! -i b" -g x') == (
        ("-m", "mark", "!", "--mark", "0x1/0x1"), ("!", "-i", "lo"), ("-m", "comment", "--comment", "a ! -i b"),
        ("-g", "x"),
    )  # fmt: skip


@given(text=damaged(), from_node=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_damaged_text_is_walked_as_far_as_it_goes(text: str, from_node: bool) -> None:
    dumped = node_of([read_dump(text, "d")])
    source = NODE if from_node else "10.1.0.9"
    for destination in ("10.96.0.7", "10.152.183.38", "10.96.0.10", "172.30.0.41", NODE):
        for port in (80, 53, 8443):
            found = follow(dumped, Packet(source, destination, port), [NODE])
            assert found.verdict in ("DNAT", "ACCEPT", "DROP", "REJECT", "none")
            assert len(found.sources) == len(found.endpoints)


def test_numbers_that_nft_prints_for_names_are_read_as_names() -> None:
    text = """table ip kube-proxy {
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.9 . 17 . 53 : goto service-A-ns/dns/udp/ }
	}
	chain filter-forward {
		type filter hook forward priority 0; policy accept;
		ct state 0x8 fib saddr type 2 drop
	}
	chain nat-prerouting {
		type nat hook prerouting priority -100; policy accept;
		ip daddr . meta l4proto . th dport vmap @service-ips
	}
	chain service-A-ns/dns/udp/ {
		meta l4proto 17 dnat to 10.1.0.5:5353
	}
}
"""
    found = walk(text, "10.1.0.7", "10.96.0.9", 53, "UDP")
    assert (found.verdict, found.endpoints) == ("DNAT", ("10.1.0.5:5353",))
    assert not [note for note in found.notes if "could not be judged" in note]
