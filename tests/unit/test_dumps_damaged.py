"""Dumps are pasted, cut and mangled: whatever a text is, reading it ends with what could be read."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.dumps.detection import read_dump
from kpsim.dumps.evidence.marks import formats_of
from kpsim.dumps.saved import rule_set
from kpsim.modes.iptables.tracer import trace
from kpsim.proxy.node import NodeConfig, port_states
from kpsim.proxy.rules import Packet
from tests.unit.test_dumps_iptables import BEFORE_1_23, FILTER_LISTED, NAT_LISTED
from tests.unit.test_dumps_others import IPVSADM, NFT, PROC

JSON = json.dumps(
    {
        "nftables": [
            {"table": {"family": "ip", "name": "kube-proxy"}},
            {"chain": {"family": "ip", "table": "kube-proxy", "name": "service-A2345672-ns/a/tcp/http", "prio": -100}},
            {"rule": {"family": "ip", "table": "kube-proxy", "chain": "service-A2345672-ns/a/tcp/http",
                      "expr": [{"dnat": {"addr": "10.0.0.1", "port": 80}}, {"vmap": {"data": {"set": [[0, None]]}}}]}},
            {"map": {"family": "ip", "table": "kube-proxy", "name": "service-ips", "elem": [
                [{"concat": ["172.30.0.1", "tcp", 80]}, {"goto": {"target": "service-A2345672-ns/a/tcp/http"}}]]}},
        ]
    }
)  # fmt: skip
TEXTS = (BEFORE_1_23, NAT_LISTED, FILTER_LISTED, IPVSADM, PROC, NFT, JSON)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 60))
        put = draw(st.sampled_from(["", "\n", '"', "}", "{", "!", " -j ", "-A ", "0", "[", "null", text[at : at + 20]]))
        text = text[:at] + put + text[at + length :]
    return text


@given(damaged())
@settings(max_examples=400, deadline=None)
def test_a_damaged_text_is_read_as_far_as_it_goes(text: str) -> None:
    dump = read_dump(text, "d", "node")
    assert dump.formats == formats_of(text)
    assert all(isinstance(note, str) for note in dump.notes())
    for family in ("IPv4", "IPv6"):
        port_states(dump.findings.objects(), NodeConfig(ip_family=family))


@given(damaged())
@settings(max_examples=200, deadline=None)
def test_a_damaged_table_can_still_be_walked(text: str) -> None:
    rules = rule_set(text)
    for packet in (Packet("10.1.0.7", "10.96.0.7", 80), Packet("203.0.113.7", "192.0.2.1", 31443)):
        assert trace(rules, NodeConfig(), packet).verdict in ("DNAT", "ACCEPT", "DROP", "REJECT", "none")
