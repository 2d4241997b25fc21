"""The parameters of DNS in a scenario: how clients write names, and how CoreDNS is laid out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from kpsim.declared import Declared
from kpsim.dns.search import CLUSTER_DOMAIN, MOST_NDOTS, NDOTS, Library, ResolvConf
from kpsim.units import MOST_CORES

NameForm = Literal["short", "namespaced", "partial", "qualified", "absolute", "external", "externalAbsolute"]

NAMESPACE = "ns"
_MOST_DOMAINS = 29  # 32 search domains (pkg/apis/core/validation), three of which are the cluster's
_LONGEST_TTL_S = 3600  # of CoreDNS' kubernetes plugin
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
    search domains a Pod inherits from its node, ``race`` the share of pairs of queries of which conntrack drops one
    (kernels before 5.1, A31), and ``other_queries_per_s`` what CoreDNS is asked by everybody else.
    """

    clients_use_names: Annotated[bool, Declared("Every connection begins with a lookup of the Service's name")] = False
    names: Annotated[NameForm, Declared("How much of a name clients write")] = "qualified"
    ndots: Annotated[int, Declared("With fewer dots, search domains are tried first", at_most=MOST_NDOTS)] = NDOTS
    node_domains: Annotated[
        int, Declared("Search domains that a Pod inherits from its node", at_most=_MOST_DOMAINS)
    ] = 0
    library: Annotated[Library, Declared("The C library that looks names up")] = "glibc"
    ttl_s: Annotated[
        float | None, Declared("How long answers may be cached", at_most=_LONGEST_TTL_S, otherwise="CoreDNS' own")
    ] = None
    node_local: Annotated[bool, Declared("Every node has NodeLocal DNSCache")] = False
    replicas: Annotated[int | None, Declared("Pods of CoreDNS", at_least=1, otherwise="as many as kubeadm runs")] = None
    # two, as CoreDNS was measured; Kubernetes gives it no limit
    cores_per_replica: Annotated[
        int, Declared("CPU cores that a Pod of CoreDNS may use", at_least=1, at_most=MOST_CORES)
    ] = 2
    race: Annotated[
        float | None,
        Declared(
            "Share of pairs of queries of which conntrack drops one",
            at_most=1,
            key="raceProbability",
            otherwise="none, since kernels from 5.1 on do not",
        ),
    ] = None
    other_queries_per_s: Annotated[float, Declared("What all other clients ask of CoreDNS")] = 0.0

    def tries(self) -> tuple[str, ...]:
        """Return the names that one lookup asks for until it finds one, the last of them found."""
        domains = tuple(f"node-{i}.example" for i in range(self.node_domains))
        conf = ResolvConf.of_pod(NAMESPACE, node_domains=domains, ndots=self.ndots, library=self.library)
        asked = conf.tries(EXAMPLES[self.names])
        right = OUTSIDE if self.outside else EXAMPLES["qualified"]
        return asked[: asked.index(right) + 1]

    @property
    def outside(self) -> bool:
        """Return True if the names lie outside the cluster's domain."""
        return self.names in ("external", "externalAbsolute")

    def with_last_dot(self) -> DnsParams:
        """Return the same, if every client wrote absolute names."""
        return replace(self, names="externalAbsolute" if self.outside else "absolute")
