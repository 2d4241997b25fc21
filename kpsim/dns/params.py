"""The parameters of DNS in a scenario: how clients write names, and how CoreDNS is laid out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kpsim.dns.search import CLUSTER_DOMAIN, NDOTS, Library, ResolvConf

NameForm = Literal["short", "namespaced", "partial", "qualified", "absolute", "external", "externalAbsolute"]

NAMESPACE = "ns"
OUTSIDE = "www.example.com"
EXAMPLES: dict[NameForm, str] = {
    "short": "svc",
    "namespaced": f"svc.{NAMESPACE}",
    "partial": f"svc.{NAMESPACE}.svc",
    "qualified": f"svc.{NAMESPACE}.svc.{CLUSTER_DOMAIN}",
    "absolute": f"svc.{NAMESPACE}.svc.{CLUSTER_DOMAIN}.",
    "external": OUTSIDE,
    "externalAbsolute": f"{OUTSIDE}.",
}


@dataclass(frozen=True, slots=True)
class DnsParams:
    """One form of name for every connection; what is ``None`` is Kubernetes' default.

    ``names`` is written as in EXAMPLES, by a client in the Service's own namespace.  ``node_domains`` is how many
    search domains a Pod inherits from its node, ``race`` the share of pairs of queries of which conntrack drops one,
    and ``other_queries_per_s`` what CoreDNS is asked by everybody else.
    """

    clients_use_names: bool = False
    names: NameForm = "qualified"
    ndots: int = NDOTS
    node_domains: int = 0
    library: Library = "glibc"
    ttl_s: float | None = None
    node_local: bool = False
    replicas: int | None = None
    cores_per_replica: int = 2  # as CoreDNS was measured; Kubernetes gives it no limit
    race: float | None = None
    other_queries_per_s: float = 0.0

    def tries(self) -> tuple[str, ...]:
        """The names that one lookup asks for until it finds one, the last of them found."""
        domains = tuple(f"node-{i}.example" for i in range(self.node_domains))
        conf = ResolvConf.of_pod(NAMESPACE, node_domains=domains, ndots=self.ndots, library=self.library)
        asked = conf.tries(EXAMPLES[self.names])
        right = OUTSIDE if self.outside else EXAMPLES["qualified"]
        return asked[: asked.index(right) + 1]

    @property
    def outside(self) -> bool:
        """True if the names lie outside the cluster's domain."""
        return self.names in ("external", "externalAbsolute")

    def with_last_dot(self) -> DnsParams:
        """The same, if every client wrote absolute names."""
        return replace(self, names="externalAbsolute" if self.outside else "absolute")
