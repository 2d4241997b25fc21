"""Layouts by release and family: what a dump says of the release that wrote it, of ranges, and of who is local."""

from __future__ import annotations

import json

import pytest

from kpsim.dumps.detection import read_dump
from kpsim.dumps.evidence.releases import Releases, agreed, release_of
from kpsim.errors import InputError
from tests.unit.test_dumps_walk import table, walk

NEW = """table ip kube-proxy {
	comment "rules for kube-proxy"
	set hairpin-connections {
		type ipv4_addr . ipv4_addr . inet_proto . inet_service
		elements = { 10.7.0.4 . 10.7.0.4 . tcp . 8080 }
	}

	set cluster-ips {
		type ipv4_addr
		elements = { 10.95.0.7 }
	}

	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.95.0.7 . tcp . 80 : goto service-AAAAAAAA-shop/cart/tcp/ }
	}

	map service-nodeports {
		type inet_proto . inet_service : verdict
		elements = { tcp . 30007 : goto external-AAAAAAAA-shop/cart/tcp/ }
	}

	chain filter-forward {
		type filter hook forward priority filter; policy accept;
		ct state new jump cluster-ips-check
	}

	chain nat-prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		jump services
	}

	chain nat-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		jump masquerading
	}

	chain services {
		ip daddr @cluster-ips ip saddr != 10.7.0.0/16 meta mark set meta mark | 0x00004000 comment "masquerade"
		ip daddr . meta l4proto . th dport vmap @service-ips
		ip daddr 192.0.2.9 meta l4proto . th dport vmap @service-nodeports
	}

	chain masquerading {
		meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 masquerade fully-random
		ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
	}

	chain cluster-ips-check {
		ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
		ip daddr 10.95.0.0/22 drop comment "Drop traffic to unallocated ClusterIPs"
	}

	chain external-AAAAAAAA-shop/cart/tcp/ {
		meta mark set meta mark | 0x00004000 comment "masquerade"
		goto service-AAAAAAAA-shop/cart/tcp/
	}

	chain service-AAAAAAAA-shop/cart/tcp/ {
		meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.7.0.4 . 8080, 1 : 10.7.1.5 . 8080 }
	}
}
"""
BOTH = ("10.7.0.4:8080", "10.7.1.5:8080")
V6 = """table ip6 kube-proxy {
	set cluster-ips {
		type ipv6_addr
		elements = { fd95::7 }
	}
	map service-ips {
		type ipv6_addr . inet_proto . inet_service : verdict
		elements = { fd95::7 . tcp . 80 : goto service-AAAAAAAA-shop/cart/tcp/ }
	}
	chain services {
		ip6 daddr . meta l4proto . th dport vmap @service-ips
	}
	chain nat-prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		jump services
	}
	chain service-AAAAAAAA-shop/cart/tcp/ {
		ip6 daddr fd95::7 tcp dport 80 ip6 saddr != fd07::/48 jump mark-for-masquerade
		numgen random mod 1 vmap { 0 : goto endpoint-CCCCCCCC-shop/cart/tcp/__fd07::4/8080 }
	}
	chain endpoint-CCCCCCCC-shop/cart/tcp/__fd07::4/8080 {
		ip6 saddr fd07::4 jump mark-for-masquerade
		meta l4proto tcp dnat to [fd07::4]:8080
	}
	chain mark-for-masquerade {
		meta mark set meta mark | 0x00004000
	}
}
"""
WAYS = ("dnat ip to", "dnat to", "dnat ip addr . port to")


@pytest.mark.parametrize("words", WAYS)
def test_endpoints_in_a_service_s_own_chain_are_read_however_nft_words_it(words: str) -> None:
    dump = read_dump(NEW.replace("dnat ip to", words), "node-a.txt", "node-a")
    (port,) = dump.findings.ports.values()
    assert (port.port, port.node_port, list(port.cluster_ips)) == (80, 30007, ["10.95.0.7"])
    assert port.endpoints == {("10.7.0.4", 8080): "node-a", ("10.7.1.5", 8080): ""}  # the hairpin set is of the node's
    assert (dump.pod_ranges, dump.service_ranges) == (("10.7.0.0/16",), ("10.95.0.0/22",))
    assert str(dump.releases) == "1.36 or later"


@pytest.mark.parametrize("words", WAYS)
def test_a_hairpin_is_seen_after_the_destination_was_changed(words: str) -> None:
    text = NEW.replace("dnat ip to", words)
    own = walk(text, "10.7.0.4", "10.95.0.7")
    assert dict(zip(own.endpoints, own.sources, strict=True)) == dict(zip(BOTH, (True, False), strict=True))
    other = walk(text, "10.7.0.9", "10.95.0.7")
    assert (other.verdict, other.endpoints, other.masqueraded, other.notes) == ("DNAT", BOTH, False, ())
    assert walk(text, "198.51.100.1", "10.95.0.7").sources == (True, True)
    assert walk(text, "198.51.100.1", "192.0.2.9", 30007).sources == (True, True)
    assert walk(text, "10.7.0.9", "10.95.0.7", 81).verdict == "REJECT"
    assert walk(text, "10.7.0.9", "10.95.1.1").verdict == "DROP"  # allocated to nobody


def test_the_new_layout_as_json_says_the_same() -> None:
    proxied = {"family": "ip", "table": "kube-proxy"}
    destinations = {"set": [[0, {"concat": ["10.7.0.4", 8080]}], [1, {"concat": ["10.7.1.5", 8080]}]]}
    choice = {"map": {"key": {"numgen": {"mode": "random", "mod": 2, "offset": 0}}, "data": destinations}}
    key = {"concat": ["10.95.0.7", "tcp", 80]}
    chain = "service-AAAAAAAA-shop/cart/tcp/"
    made = [
        {"table": {"family": "ip", "name": "kube-proxy"}},
        {"set": {**proxied, "name": "hairpin-connections"}},
        {"set": {**proxied, "name": "cluster-ips", "elem": ["10.95.0.7"]}},
        {"map": {**proxied, "name": "service-ips", "elem": [[key, {"goto": {"target": chain}}]]}},
        {"chain": {**proxied, "name": chain}},
        {"rule": {**proxied, "chain": chain, "expr": [{"dnat": {"family": "ip", "addr": choice}}]}},
    ]
    dump = read_dump(json.dumps({"nftables": made}), "node-a.json")
    (port,) = dump.findings.ports.values()
    assert [*port.endpoints] == [("10.7.0.4", 8080), ("10.7.1.5", 8080)]
    assert str(dump.releases) == "1.36 or later"


def test_an_endpoint_of_ipv6_is_not_cut_at_its_first_colon() -> None:
    dump = read_dump(V6, "node-a.txt")
    (port,) = dump.findings.ports.values()
    assert list(port.endpoints) == [("fd07::4", 8080)]
    (made,) = dump.findings.objects().slices
    assert (made.address_type, made.endpoints[0].ip) == ("IPv6", "fd07::4")
    assert dump.pod_ranges == ("fd07::/48",)
    assert walk(V6, "fd07::9", "fd95::7").endpoints == ("[fd07::4]:8080",)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("-A KUBE-SERVICES -j KUBE-XLB-AAAAAAAAAAAAAAAA\n-A KUBE-XLB-AAAAAAAAAAAAAAAA -j DROP", "1.23 or earlier"),
        ("-A KUBE-SERVICES -j KUBE-EXT-AAAAAAAAAAAAAAAA\n-A KUBE-EXT-AAAAAAAAAAAAAAAA -j DROP", "1.24 or later"),
        ("-A KUBE-NODEPORTS -m nfacct --nfacct-name n -j KUBE-SVC-AAAAAAAAAAAAAAAA\n:KUBE-SVC-AAAAAAAAAAAAAAAA -",
         "1.31 or later"),
        ("-A PREROUTING -j ACCEPT", "any release"),
    ],
)  # fmt: skip
def test_chains_tell_the_release_that_wrote_them(rules: str, said: str) -> None:
    assert str(read_dump(f"*nat\n{rules}\nCOMMIT\n", "node-a.txt").releases) == said


def test_signs_agree_or_the_first_is_kept() -> None:
    early, late = Releases(last=(1, 23), said="a"), Releases((1, 31), said="b")
    assert agreed([Releases(), early]) == early
    assert agreed([early, late]) == early
    assert agreed([Releases((1, 24), said="a"), late]) == Releases((1, 31), said="a, b")
    assert (early.nearest((1, 34)), late.nearest((1, 34)), late.nearest((1, 30))) == ((1, 23), (1, 34), (1, 31))
    assert (release_of("v1.36.2+k3s1"), release_of("1.33"), release_of("devel")) == ((1, 36), (1, 33), None)


def test_chains_that_lead_to_each_other_twice_are_refused_with_the_bound() -> None:
    rules = ["-A FORWARD -j C0", *(f"-A C{at} -j C{at + 1}" for at in range(40) for _ in range(2)), "-A C40 -j RETURN"]
    read_dump(table(*rules), "dump.txt")  # which counts them at once
    with pytest.raises(InputError, match=r"dump\.txt: a packet meets more than 1,000,000 rules"):
        walk(table(*rules), "10.7.0.9", "10.7.0.4")


def test_chains_in_a_long_row_are_refused_with_the_bound() -> None:
    rules = ["-A FORWARD -j C0", *(f"-A C{at} -j C{at + 1}" for at in range(5000)), "-A C5000 -j ACCEPT"]
    read_dump(table(*rules), "dump.txt")
    with pytest.raises(InputError, match=r"dump\.txt: chains lead more than 200 deep"):
        walk(table(*rules), "10.7.0.9", "10.7.0.4")


SAVED = """\
-A -t 10.95.0.7:80 -s lc -p 600
-a -t 10.95.0.7:80 -r 10.7.0.4:8080 -m -w 1
-a -t 10.95.0.7:80 -r 10.7.1.5:8080 -m -w 0
-A -u 10.95.0.8:53 -s lc
-a -u 10.95.0.8:53 -r 10.7.0.6:5353 -m -w 1
-A --sctp-service [fd95::7]:99 -s lc
-a --sctp-service [fd95::7]:99 -r [fd07::4]:99 -m -w 1
-A -f 7 -s rr
"""


def test_what_ipvsadm_saves_is_read_as_what_it_lists() -> None:
    dump = read_dump(SAVED, "node-a.txt")
    assert (dump.mode, dump.formats, dump.scheduler, dump.servers) == ("ipvs", ("ipvsadm -Sn",), "lc", (3, 3))
    found = {(*found.cluster_ips, key[3], found.port): found for key, found in dump.findings.ports.items()}
    assert found["10.95.0.7", "TCP", 80].affinity_s == 600
    assert list(found["10.95.0.7", "TCP", 80].endpoints) == [("10.7.0.4", 8080)]
    assert list(found["10.95.0.8", "UDP", 53].endpoints) == [("10.7.0.6", 5353)]
    assert list(found["fd95::7", "SCTP", 99].endpoints) == [("fd07::4", 99)]
    assert any("firewall-mark" in said for said in dump.warnings)


@pytest.mark.parametrize(
    ("written", "said"),
    [("10.7.0.256:80", "'10.7.0.256'"), ("10.7.0.010:80", "'10.7.0.010'"), ("10.7.0.4:70000", "'10.7.0.4:70000'")],
)
def test_an_address_that_is_none_is_a_problem_of_its_line(written: str, said: str) -> None:
    rules = [
        "-A KUBE-SERVICES -d 10.95.0.7/32 -p tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA",
        "-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA",
        f"-A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -m tcp -j DNAT --to-destination {written}",
    ]
    dump = read_dump(table(*rules, name="nat"), "node-a.txt")
    (problem,) = dump.problems
    assert (str(problem.place), problem.what) == ("node-a.txt:11:69", f"{said} is not an address")
    assert not dump.findings.objects().slices


def test_numbers_for_words_are_read_as_the_words() -> None:
    numbers = NEW.replace("tcp . ", "6 . ").replace(" . tcp", " . 6").replace("l4proto tcp", "l4proto 6")
    numbers = numbers.replace("ct state new", "ct state 0x8").replace("ct status dnat", "ct status 0x20")
    assert read_dump(numbers, "node-a.txt", "node-a").findings == read_dump(NEW, "node-a.txt", "node-a").findings
    for source, destination, port in (("10.7.0.4", "10.95.0.7", 80), ("198.51.100.1", "192.0.2.9", 30007)):
        found, wanted = walk(numbers, source, destination, port), walk(NEW, source, destination, port)
        assert (found.verdict, found.endpoints, found.sources) == (wanted.verdict, wanted.endpoints, wanted.sources)
    assert walk(numbers, "10.7.0.9", "10.95.0.7", 81).verdict == "REJECT"


def test_both_families_of_a_dump_are_one_dual_stack_service() -> None:
    (service,) = read_dump(NEW + V6, "node-a.txt").findings.objects().services
    assert (service.cluster_ip, service.ip_families) == ("10.95.0.7", ("IPv4", "IPv6"))
    assert service.ip_family_policy == "PreferDualStack"
    slices = read_dump(NEW + V6, "node-a.txt").findings.objects().slices
    assert {(at.address_type, len(at.endpoints)) for at in slices} == {("IPv4", 2), ("IPv6", 1)}
    (six,) = read_dump(V6, "node-a.txt").findings.objects().services
    assert (six.cluster_ip, six.ip_families) == ("fd95::7", ("IPv6",))
