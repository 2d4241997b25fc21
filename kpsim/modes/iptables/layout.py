"""kube-proxy's iptables mode writes these chains, by Kubernetes version.

Up to 1.23 one chain, KUBE-XLB, both receives traffic from outside and chooses among this node's endpoints; since 1.24
KUBE-EXT receives and KUBE-SVL chooses.  Up to 1.24 what must not pass is marked in the nat table (KUBE-MARK-DROP) and
dropped in filter KUBE-FIREWALL, both of which kubelet makes; since 1.25 kube-proxy drops it in the filter table by
itself (KUBE-PROXY-FIREWALL, and DROP for Local policies without a local endpoint).  Since 1.27 KUBE-FIREWALL, which
keeps strangers from addresses of localhost, is kube-proxy's own, and KUBE-FW ends in a rule that only has a comment.
Since 1.31 packets to NodePorts on localhost are counted, and those dropped as INVALID.

Up to 1.25 nothing keeps NodePorts off localhost, up to 1.26 they have no rules where ``nodePortAddresses`` matches no
address of the node, and up to 1.28 INVALID packets are dropped whatever nf_conntrack_tcp_be_liberal says.  Left out:
what was different before 1.22, above all that masquerading for ClusterIPs and NodePorts stood in the top-level chains;
these versions are written like 1.23.  Sources: KEP-3178; pkg/proxy/iptables/proxier.go and its tests at these versions.
"""

from __future__ import annotations

from dataclasses import dataclass

from kpsim.proxy.byversion import LOCALHOST_OPTION_SINCE
from kpsim.proxy.node import NodeConfig
from kpsim.units import Version

EXTERNAL_CHAINS_SINCE: Version = (1, 24)
DROPS_IN_FILTER_SINCE: Version = (1, 25)
OWN_FIREWALL_SINCE: Version = (1, 27)
BE_LIBERAL_SINCE: Version = (1, 29)
COUNTS_SINCE: Version = (1, 31)  # kubernetes/kubernetes 125015


@dataclass(frozen=True, slots=True)
class Layout:
    """One version of kube-proxy lays out its rules on one node like this."""

    external_chains: bool = True  # KUBE-EXT and KUBE-SVL; else KUBE-XLB
    drops_in_filter: bool = True  # else by a mark, with KUBE-MARK-DROP
    explains_firewall: bool = True  # KUBE-FW ends in a rule that says what becomes of other traffic
    own_firewall: bool = True  # kube-proxy sees to KUBE-FIREWALL, and the jumps to it
    blocks_localnet: bool = True  # and fills it
    drops_invalid: bool = True
    counts: bool = True  # packets that are dropped as INVALID
    counts_localhost: bool = True  # packets to NodePorts on localhost
    spares_localhost: bool = False  # NodePorts do not answer there
    needs_node_address: bool = False  # NodePorts have rules only where some address leads to them

    @staticmethod
    def of(config: NodeConfig) -> Layout:
        """Return the layout of a node's Kubernetes version, without what the node says it has not got."""
        version = config.kubernetes_version
        localhost = config.ip_family == "IPv4" and config.localhost_node_ports
        return Layout(
            external_chains=version >= EXTERNAL_CHAINS_SINCE,
            drops_in_filter=version >= DROPS_IN_FILTER_SINCE,
            explains_firewall=version >= OWN_FIREWALL_SINCE,
            own_firewall=version >= OWN_FIREWALL_SINCE and config.firewall_chain,
            blocks_localnet=version >= OWN_FIREWALL_SINCE and config.firewall_chain and localhost,
            drops_invalid=version < BE_LIBERAL_SINCE or not config.conntrack_tcp_be_liberal,
            counts=version >= COUNTS_SINCE and config.nfacct,
            counts_localhost=version >= COUNTS_SINCE and config.nfacct and localhost,
            spares_localhost=version >= LOCALHOST_OPTION_SINCE and not localhost,
            needs_node_address=version < OWN_FIREWALL_SINCE,
        )
