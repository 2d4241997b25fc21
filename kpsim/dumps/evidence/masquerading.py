"""The packets to ClusterIPs that rules masquerade show how kube-proxy was told to know a Pod of its node.

By a range of addresses: that is said as ranges of Pods elsewhere.  Here: by the interface they come in at, or not at
all, because everything is masqueraded.  Source: pkg/proxy/util/localdetector.go and the proxiers' masqueradeAll.
"""

from __future__ import annotations

import re

from kpsim.dumps.nft import Ruleset
from kpsim.dumps.saved import SERVICE_CHAIN, Tables

_ARRIVAL = re.compile(r"(?:^|\s)(?:! -i |-i !)(\S+)")
_MARKS = r"(?:jump mark-for-masquerade|(?:meta )?mark set)"
_NFT_ARRIVAL = re.compile(rf"iif(?:name)? != \"?([^\s\"]+)\"? {_MARKS}")
_NFT_ALL = re.compile(rf"ip6? daddr \S+ (?:(?:meta l4proto )?(?:tcp|udp|sctp|th) (?:dport \d+ )?)*{_MARKS}")


def told_by_tables(tables: Tables) -> dict[str, object]:
    """Return what iptables' rules show of a KubeProxyConfiguration."""
    for chain, rules in tables.chains.get("nat", {}).items():
        for rule in rules if chain == "KUBE-SERVICES" or SERVICE_CHAIN.fullmatch(chain) else ():
            if rule.target != "KUBE-MARK-MASQ" or "cluster IP" not in rule.comment or rule.source:
                continue
            if found := _ARRIVAL.search(rule.match):
                return _by_interface(found[1])
            if not rule.match:
                return {"iptables": {"masqueradeAll": True}}
    return {}


def told_by_ruleset(ruleset: Ruleset) -> dict[str, object]:
    """Return what the rules of kube-proxy's nftables tables show of a KubeProxyConfiguration."""
    for table in ruleset.tables:
        for name, chain in table.chains.items() if table.name == "kube-proxy" else ():
            for rule in chain.rules if name == "services" or name.startswith("service-") else ():
                if found := _NFT_ARRIVAL.search(rule):
                    return _by_interface(found[1])
                if _NFT_ALL.match(rule):
                    return {"nftables": {"masqueradeAll": True}}
    return {}


def _by_interface(name: str) -> dict[str, object]:
    prefix = name.rstrip("+*")
    if prefix != name:
        return {"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": prefix}}
    return {"detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": name}}
