"""How a Windows node is set up, as far as its load balancers show it.

``winkernel:`` of a KubeProxyConfiguration, and what only the node itself knows: the kind of its HNS network and whether
its Windows changes a load balancer in place.
Source: pkg/proxy/apis/config/types.go (KubeProxyWinkernelConfiguration), pkg/proxy/winkernel/proxier.go.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WinkernelSettings"]


@dataclass(frozen=True, slots=True)
class WinkernelSettings:
    """Kubernetes' defaults on an l2bridge network of Windows Server 2022.

    ``modifies`` needs Kubernetes 1.31 and the Host Networking Service of Windows Server 2025.
    """

    overlay: bool = False  # else l2bridge
    enable_dsr: bool = False
    source_vip: str = ""  # on overlay networks; on others the node's own address
    forward_health_check_vip: bool = False
    modifies: bool = False  # a changed load balancer is updated; else deleted and created anew
