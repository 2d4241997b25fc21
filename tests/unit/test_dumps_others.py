"""IPVS's virtual servers and nftables' rulesets, as their tools print them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpsim.dumps.detection import merged, read_dump
from kpsim.dumps.evidence.marks import formats_of
from kpsim.dumps.hooks import Hook
from kpsim.dumps.ipvs import read_virtual_servers
from kpsim.dumps.nft import read_ruleset
from kpsim.kube.objects import KubeObjects, Service, ServicePort

IPVSADM = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.1:443 rr
  -> 192.0.2.5:6443               Masq    1      4          0
TCP  10.96.0.10:53 rr persistent 600
  -> 10.1.0.3:53                  Masq    1      0          0
  -> 10.1.0.4:53                  Masq    0      1          0
UDP  10.96.0.10:53 rr persistent 600
  -> 10.1.0.3:53                  Masq    1      0          0
TCP  10.96.0.44:80 rr
  -> 10.1.0.7:8080                Masq    1      0          0
  -> 10.1.0.8:8080                Masq    1      0          0
TCP  10.96.0.45:80 rr
TCP  192.0.2.5:30080 rr
  -> 10.1.0.7:8080                Masq    1      0          0
  -> 10.1.0.8:8080                Masq    1      0          0
TCP  192.0.2.6:30080 rr
  -> 10.1.0.7:8080                Masq    1      0          0
  -> 10.1.0.8:8080                Masq    1      0          0
TCP  198.51.100.9:80 rr
  -> 10.1.0.7:8080                Masq    1      0          0
  -> 10.1.0.8:8080                Masq    1      0          0
TCP  [fd00:10::7]:80 rr
  -> [fd00::7]:8080               Masq    1      0          0
FWM  7 wlc
  -> 10.1.0.7:8080                Masq    1      0          0
"""

PROC = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> C0000205:192B      Masq    1      4          0
TCP  0A60000A:0035 rr  persistent 600 FFFFFFFF
  -> 0A010003:0035      Masq    1      0          0
  -> 0A010004:0035      Masq    0      1          0
UDP  0A60000A:0035 rr  persistent 600 FFFFFFFF
  -> 0A010003:0035      Masq    1      0          0
TCP  0A60002C:0050 rr
  -> 0A010007:1F90      Masq    1      0          0
  -> 0A010008:1F90      Masq    1      0          0
TCP  0A60002D:0050 rr
TCP  C0000205:7580 rr
  -> 0A010007:1F90      Masq    1      0          0
  -> 0A010008:1F90      Masq    1      0          0
TCP  C0000206:7580 rr
  -> 0A010007:1F90      Masq    1      0          0
  -> 0A010008:1F90      Masq    1      0          0
TCP  C6336409:0050 rr
  -> 0A010007:1F90      Masq    1      0          0
  -> 0A010008:1F90      Masq    1      0          0
TCP  [fd00:0010:0000:0000:0000:0000:0000:0007]:0050 rr
  -> [fd00:0000:0000:0000:0000:0000:0000:0007]:1F90      Masq    1      0          0
FWM  00000007 wlc
  -> 0A010007:1F90      Masq    1      0          0
"""


def shown(objects: KubeObjects) -> dict[str, tuple[object, ...]]:
    return {
        service.name: (
            service.cluster_ip,
            [(port.name, port.port, port.protocol, port.node_port) for port in service.ports],
            (*service.external_ips, *service.load_balancer_ips),
            sorted({at.ip for made in objects.slices if made.service == service.name for at in made.endpoints}),
        )
        for service in objects.services
    }


def test_virtual_servers_are_told_apart_by_their_addresses() -> None:
    dump = read_dump(IPVSADM, "ipvs.txt")
    assert (dump.mode, dump.formats, dump.servers) == ("ipvs", ("ipvsadm -Ln",), (9, 12))
    objects = dump.findings.objects()
    assert shown(objects) == {
        "ip-10-96-0-1": ("10.96.0.1", [("tcp-443", 443, "TCP", 0)], (), ["192.0.2.5"]),
        "ip-10-96-0-10": ("10.96.0.10", [("tcp-53", 53, "TCP", 0), ("udp-53", 53, "UDP", 0)], (), ["10.1.0.3"]),
        "ip-10-96-0-44": (
            "10.96.0.44", [("tcp-80", 80, "TCP", 30080)], ("198.51.100.9",), ["10.1.0.7", "10.1.0.8"]
        ),
        "ip-10-96-0-45": ("10.96.0.45", [("tcp-80", 80, "TCP", 0)], (), []),
        "ip-fd00-10--7": ("fd00:10::7", [("tcp-80", 80, "TCP", 0)], (), ["fd00::7"]),
    }  # fmt: skip
    assert {s.name: s.session_affinity_timeout_s for s in objects.services if s.session_affinity == "ClientIP"} == {
        "ip-10-96-0-10": 600
    }
    assert any("firewall-mark virtual servers, which are not kube-proxy's, left out: 1" in w for w in dump.warnings)
    assert any("weight 0" in warning for warning in dump.warnings)


def test_proc_shows_the_same_in_hexadecimal() -> None:
    assert read_virtual_servers(PROC) == read_virtual_servers(IPVSADM)
    assert read_dump(PROC, "ip_vs").findings.ports == read_dump(IPVSADM, "ipvs.txt").findings.ports


def test_virtual_servers_get_the_names_of_services_that_were_read() -> None:
    dns = Service("kube-system", "kube-dns", cluster_ip="10.96.0.10",
                  ports=(ServicePort(53, "dns", "UDP"), ServicePort(53, "dns-tcp", "TCP")))  # fmt: skip
    objects = merged([read_dump(IPVSADM, "d").findings], [dns]).objects()
    named = next(service for service in objects.services if service.namespace == "kube-system")
    assert (named.name, {port.name for port in named.ports}) == ("kube-dns", {"dns", "dns-tcp"})
    assert next(made.service for made in objects.slices if made.namespace == "kube-system") == "kube-dns"


@pytest.mark.parametrize("text", [IPVSADM.partition("TCP")[0], "IP Virtual Server version 1.2.1 (size=4096)\n"])
def test_no_virtual_server_is_no_service(text: str) -> None:
    assert not read_dump(text, "d").findings.ports


NFT = """\
table inet firewalld { # handle 1
	chain filter_FORWARD { # handle 2
		type filter hook forward priority filter + 10; policy accept;
		ct state established,related accept # handle 3
		jump filter_FORWARD_POLICIES # handle 4
	}

	chain filter_FORWARD_POLICIES { # handle 5
		counter packets 3 bytes 180 drop # handle 6
	}
}
table ip mangle_too {
	chain early {
		type nat hook prerouting priority -150; policy accept;
		iifname "eth0" accept
	}
}
table ip kube-proxy { # handle 9
	comment "rules for kube-proxy"
	set cluster-ips { # handle 10
		type ipv4_addr
		comment "Active ClusterIPs"
		elements = { 172.30.0.41, 172.30.0.42,
				172.30.0.43, 172.30.0.44 }
	}

	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		comment "ClusterIP, ExternalIP and LoadBalancer IP traffic"
		elements = { 172.30.0.41 . tcp . 80 : goto service-ULMVA6XW-ns1/svc1/tcp/p80,
				172.30.0.42 . udp . 53 : goto service-42NFTM6N-ns1/svc2/udp/,
				203.0.113.7 . udp . 53 : goto external-42NFTM6N-ns1/svc2/udp/,
				172.30.0.44 . tcp . 443 : goto local-4AT6LBPK-ns1/svc4/tcp/https,
				198.51.100.4 . tcp . 443 : goto external-4AT6LBPK-ns1/svc4/tcp/https }
	}

	map service-nodeports {
		type inet_proto . inet_service : verdict
		elements = { tcp . 30443 : goto external-4AT6LBPK-ns1/svc4/tcp/https }
	}

	map no-endpoint-services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 172.30.0.43 . tcp . 80 comment "ns1/svc3:p80" : goto reject-chain }
	}

	map no-endpoint-nodeports {
		type inet_proto . inet_service : verdict
		elements = { tcp . 30003 comment "ns1/svc3:p80" : goto reject-chain }
	}

	map firewall-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 198.51.100.4 . tcp . 443 : goto firewall-4AT6LBPK-ns1/svc4/tcp/https }
	}

	set affinity-1 {
		type ipv4_addr
		size 65535
		flags dynamic,timeout
		timeout 1h30m
	}

	chain nat-prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		jump services
	}

	chain filter-forward {
		type filter hook forward priority filter; policy accept;
		ct state new jump service-endpoints-check
	}

	chain services {
		ip daddr . meta l4proto . th dport vmap @service-ips
	}

	chain service-ULMVA6XW-ns1/svc1/tcp/p80 {
		ip daddr 172.30.0.41 tcp dport 80 ip saddr != 10.0.0.0/8 jump mark-for-masquerade
		ip saddr @affinity-1 goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/8080
		numgen random mod 2 vmap { 0 : goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/8080,
						1 : goto endpoint-XGJHPBNW-ns1/svc1/tcp/p80__10.180.0.2/8080 }
	}

	chain endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/8080 {
		ip saddr 10.180.0.1 jump mark-for-masquerade
		update @affinity-1 { ip saddr }
		meta l4proto tcp dnat to 10.180.0.1:8080
	}

	chain endpoint-XGJHPBNW-ns1/svc1/tcp/p80__10.180.0.2/8080 {
		ip saddr 10.180.0.2 jump mark-for-masquerade
		meta l4proto tcp dnat to 10.180.0.2:8080
	}

	chain service-42NFTM6N-ns1/svc2/udp/ {
		meta l4proto udp dnat ip to numgen random mod 2 map { 0 : 10.180.0.3 . 5353, 1 : 10.180.0.4 . 5353 }
	}

	chain external-42NFTM6N-ns1/svc2/udp/ {
		jump mark-for-masquerade
		goto service-42NFTM6N-ns1/svc2/udp/
	}

	chain local-4AT6LBPK-ns1/svc4/tcp/https {
		meta l4proto tcp dnat to 10.180.0.9:8443
	}

	chain external-4AT6LBPK-ns1/svc4/tcp/https {
		ip saddr 10.0.0.0/8 goto service-4AT6LBPK-ns1/svc4/tcp/https
		fib saddr type local jump mark-for-masquerade
		goto local-4AT6LBPK-ns1/svc4/tcp/https
	}

	chain firewall-4AT6LBPK-ns1/svc4/tcp/https {
		ip saddr != { 203.0.113.0/25, 10.9.9.9 } drop
	}
}
"""


def test_verdict_maps_are_services() -> None:
    dump = read_dump(NFT, "nft.txt", "worker-1")
    assert (dump.mode, dump.formats, dump.pod_ranges) == ("nftables", ("nft list ruleset",), ("10.0.0.0/8",))
    objects = dump.findings.objects()
    assert shown(objects) == {
        "svc1": ("172.30.0.41", [("p80", 80, "TCP", 0)], (), ["10.180.0.1", "10.180.0.2"]),
        "svc2": ("172.30.0.42", [("", 53, "UDP", 0)], ("203.0.113.7",), ["10.180.0.3", "10.180.0.4"]),
        "svc3": ("172.30.0.43", [("p80", 80, "TCP", 30003)], (), []),
        "svc4": ("172.30.0.44", [("https", 443, "TCP", 30443)], ("198.51.100.4",), ["10.180.0.9"]),
    }
    services = {service.name: service for service in objects.services}
    assert (services["svc1"].session_affinity, services["svc1"].session_affinity_timeout_s) == ("ClientIP", 5400)
    assert (services["svc4"].type, services["svc4"].external_traffic_policy) == ("LoadBalancer", "Local")
    assert services["svc4"].internal_traffic_policy == "Local"
    assert services["svc4"].load_balancer_source_ranges == ("203.0.113.0/25", "10.9.9.9/32")
    assert {at.node for made in objects.slices for at in made.endpoints} == {"", "worker-1"}
    assert {made.ports for made in objects.slices if made.service == "svc2"} == {(("", 5353, "UDP"),)}


def test_other_tables_are_counted_by_priority() -> None:
    dump = read_dump(NFT, "nft.txt")
    assert set(dump.hooks) == {Hook("filter", "forward", 0, 3), Hook("nat", "prerouting", 1, 0)}
    assert dump.rules_by_chain["ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80"] == 3


def test_json_says_the_same_as_text() -> None:
    chains: list[tuple[str, list[Any]]] = [
        ("service-A2345672-ns/a/tcp/http", [
            [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "172.30.0.41"}},
             {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                        "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}},
             {"jump": {"target": "mark-for-masquerade"}}],
            [{"vmap": {"key": {"numgen": {"mode": "random", "mod": 2, "offset": 0}},
                       "data": {"set": [[0, {"goto": {"target": "endpoint-1"}}],
                                        [1, {"goto": {"target": "endpoint-2"}}]]}}}],
        ]),
        ("endpoint-1", [[{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}},
                         {"dnat": {"addr": "10.180.0.1", "port": 8080}}]]),
        ("endpoint-2", [[{"dnat": {"addr": "10.180.0.2", "port": 8080}}]]),
        ("service-B2345672-ns/b/udp/dns", [
            [{"dnat": {"family": "ip", "addr": {"map": {"key": {"numgen": {"mode": "random", "mod": 1, "offset": 0}},
                                                        "data": {"set": [[0, {"concat": ["10.180.0.3", 5353]}]]}}}}}],
        ]),
    ]  # fmt: skip
    where = {"family": "ip", "table": "kube-proxy"}
    items: list[Any] = [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": "ip", "name": "kube-proxy", "handle": 1}},
        {"set": {**where, "name": "cluster-ips", "type": "ipv4_addr", "elem": ["172.30.0.41", "172.30.0.42"]}},
        {"map": {**where, "name": "service-ips", "map": "verdict", "elem": [
            [{"concat": ["172.30.0.41", "tcp", 80]}, {"goto": {"target": chains[0][0]}}],
            [{"concat": ["172.30.0.42", "udp", 53]}, {"goto": {"target": chains[3][0]}}]]}},
        {"map": {**where, "name": "no-endpoint-services", "map": "verdict", "elem": [
            [{"elem": {"val": {"concat": ["172.30.0.43", "tcp", 80]}, "comment": "ns/c:http"}}, {"drop": None}]]}},
        *({"chain": {**where, "name": name, "handle": 3}} for name, _ in chains),
        *({"rule": {**where, "chain": name, "handle": 4, "expr": expr}} for name, rules in chains for expr in rules),
    ]  # fmt: skip
    text = json.dumps({"nftables": items})
    dump = read_dump(text, "nft.json")
    assert dump.formats == ("nft -j list ruleset",)
    assert shown(dump.findings.objects()) == {
        "a": ("172.30.0.41", [("http", 80, "TCP", 0)], (), ["10.180.0.1", "10.180.0.2"]),
        "b": ("172.30.0.42", [("dns", 53, "UDP", 0)], (), ["10.180.0.3"]),
        "c": ("", [("http", 80, "TCP", 0)], ("172.30.0.43",), []),
    }
    assert dump.pod_ranges == ("10.0.0.0/8",)
    cut = read_dump(text[: text.index('"dnat"')], "nft.json")
    assert set(shown(cut.findings.objects())) == {"a", "b", "c"}
    assert any("cut off" in warning for warning in cut.warnings)


@pytest.mark.parametrize("end", range(len(NFT) // 2, len(NFT) - 2, 97))
def test_a_ruleset_that_is_cut_off_is_read_as_far_as_it_goes(end: int) -> None:
    dump = read_dump(NFT[:end], "d")
    assert any("cut off" in warning for warning in dump.warnings), NFT[end - 40 : end]
    whole = {table.name: table for table in read_ruleset(NFT).tables}
    for table in read_ruleset(NFT[:end]).tables:
        for name, elements in table.elements.items():
            assert set(elements) <= set(whole[table.name].elements[name])


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("", ()),
        ("apiVersion: v1\nkind: ConfigMap\ndata:\n  rules: |\n    *nat\n    -A KUBE-SERVICES -j X\n", ()),
        ('{"kind": "List", "items": []}', ()),
        ("$ sudo iptables-save\n*nat\n:KUBE-SERVICES - [0:0]\n", ("iptables-save",)),
        (IPVSADM + NFT, ("ipvsadm -Ln", "nft list ruleset")),
    ],
)
def test_formats_are_detected(text: str, formats: tuple[str, ...]) -> None:
    assert formats_of(text) == formats
