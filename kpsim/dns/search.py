"""The names that a Pod's lookup of one name tries, in order: search path, ndots, and the two C libraries.

A Pod's ``resolv.conf`` (dnsPolicy ClusterFirst) lists its namespace's domain, the cluster's two, and the node's own,
with ``ndots:5``: a name with fewer dots walks the list before it is tried as it stands.  Each try asks for A and AAAA.
Left out: the address family rules of ``getaddrinfo``, resolvers of other languages (Go and the JVM follow glibc here).
Sources: pkg/kubelet/network/dns/dns.go; glibc resolv/res_query.c (``__res_context_search``); musl
src/network/lookup_name.c (``name_from_dns_search``) and resolvconf.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Library = Literal["glibc", "musl"]

CLUSTER_DOMAIN = "cluster.local"
NDOTS = 5  # pkg/kubelet/network/dns/dns.go, defaultDNSOptions
MOST_NDOTS = 15  # RES_MAXNDOTS of glibc, and musl's own cap


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """The contents of a Pod's ``/etc/resolv.conf``, and the C library that reads it."""

    search: tuple[str, ...]
    ndots: int = NDOTS
    library: Library = "glibc"

    @staticmethod
    def of_pod(
        namespace: str,
        *,
        node_domains: tuple[str, ...] = (),
        ndots: int = NDOTS,
        library: Library = "glibc",
    ) -> ResolvConf:
        """Return the file the kubelet writes for a Pod in ``namespace``, each domain listed once."""
        own = (f"{namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN)
        return ResolvConf(tuple(dict.fromkeys((*own, *node_domains))), ndots, library)

    def tries(self, name: str) -> tuple[str, ...]:
        """Return the names asked for, one after another, while none is found; absolute, written without the last dot.

        glibc tries a name with enough dots first as it stands and then in every domain; musl never goes back to the
        list for such a name.
        """
        bare = name.rstrip(".")
        if name.endswith("."):
            return (bare,)
        listed = tuple(f"{bare}.{domain}" for domain in self.search)
        if bare.count(".") < self.ndots:
            return (*listed, bare)
        return (bare,) if self.library == "musl" else (bare, *listed)

    def stops_without_address(self) -> bool:
        """True if a name that exists without an address (NODATA) ends the search, as with musl; glibc goes on."""
        return self.library == "musl"
