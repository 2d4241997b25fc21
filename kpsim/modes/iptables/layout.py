"""Which chains kube-proxy's iptables mode writes, by Kubernetes version.

Up to 1.23 one chain, KUBE-XLB, both receives traffic from outside and chooses among this node's endpoints; since 1.24
KUBE-EXT receives and KUBE-SVL chooses.  Up to 1.24 what must not pass is marked in the nat table (KUBE-MARK-DROP) and
dropped in filter KUBE-FIREWALL, both of which kubelet makes; since 1.25 kube-proxy drops it in the filter table by
itself (KUBE-PROXY-FIREWALL, and DROP for Local policies without a local endpoint).  Since 1.27 KUBE-FIREWALL, which
keeps strangers from addresses of localhost, is kube-proxy's own, and KUBE-FW ends in a rule that only has a comment.
Since 1.31 packets to NodePorts on localhost are counted.

The rule that drops INVALID packets is the same in all of these.  Left out: its counter (1.31 and later), and what was
different before 1.22, above all that masquerading for ClusterIPs and NodePorts stood in the top-level chains; these
versions are written like 1.23.  Sources: KEP-3178; pkg/proxy/iptables/proxier.go and its tests at these versions.
"""

from __future__ import annotations

from dataclasses import dataclass

from kpsim.proxy.node import NodeConfig
from kpsim.units import Version

EXTERNAL_CHAINS_SINCE: Version = (1, 24)
DROPS_IN_FILTER_SINCE: Version = (1, 25)
OWN_FIREWALL_SINCE: Version = (1, 27)
COUNTS_LOCALHOST_SINCE: Version = (1, 31)  # kubernetes/kubernetes 125015


@dataclass(frozen=True, slots=True)
class Layout:
    """What one version of kube-proxy writes on one node."""

    external_chains: bool = True  # KUBE-EXT and KUBE-SVL; else KUBE-XLB
    drops_in_filter: bool = True  # else by a mark, with KUBE-MARK-DROP
    explains_firewall: bool = True  # KUBE-FW ends in a rule that says what becomes of other traffic
    own_firewall: bool = True  # KUBE-FIREWALL is kube-proxy's
    counts_localhost: bool = True  # packets to NodePorts on localhost

    @staticmethod
    def of(config: NodeConfig) -> Layout:
        """The layout of a node's Kubernetes version, without what the node says it has not got."""
        version = config.kubernetes_version
        localhost = config.ip_family == "IPv4" and config.localhost_node_ports
        return Layout(
            external_chains=version >= EXTERNAL_CHAINS_SINCE,
            drops_in_filter=version >= DROPS_IN_FILTER_SINCE,
            explains_firewall=version >= OWN_FIREWALL_SINCE,
            own_firewall=version >= OWN_FIREWALL_SINCE and config.firewall_chain and localhost,
            counts_localhost=version >= COUNTS_LOCALHOST_SINCE and config.nfacct and localhost,
        )
