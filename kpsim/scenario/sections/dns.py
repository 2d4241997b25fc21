"""``dns:`` of a scenario: how clients use names, and how the cluster's DNS is laid out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kpsim.dns.params import DnsParams, NameForm
from kpsim.dns.search import MOST_NDOTS, Library
from kpsim.scenario.sections.quantities import Count, Duration, Part, Positive, Rate, Share
from kpsim.units import format_duration

_DNS = DnsParams()
_MOST_DOMAINS = 29  # 32 search domains (pkg/apis/core/validation), three of which are the cluster's
_LONGEST_TTL_S = 3600  # of CoreDNS' kubernetes plugin


class DnsPart(Part):
    """Names that clients use; left out, none, and what is left out of it is as Kubernetes installs it."""

    clients_use_names: bool = _DNS.clients_use_names
    names: NameForm = _DNS.names
    ndots: Annotated[Count, Field(le=MOST_NDOTS)] = _DNS.ndots
    node_domains: Annotated[Count, Field(le=_MOST_DOMAINS)] = _DNS.node_domains
    library: Library = _DNS.library
    ttl: Annotated[Duration, Field(le=_LONGEST_TTL_S)] | None = _DNS.ttl_s
    node_local: bool = _DNS.node_local
    replicas: Positive | None = _DNS.replicas
    cores_per_replica: Positive = _DNS.cores_per_replica
    race_probability: Share | None = _DNS.race
    other_queries_per_second: Rate = _DNS.other_queries_per_s


def dns_params(part: DnsPart) -> DnsParams:
    """What the section asks for."""
    return DnsParams(
        clients_use_names=part.clients_use_names,
        names=part.names,
        ndots=part.ndots,
        node_domains=part.node_domains,
        library=part.library,
        ttl_s=part.ttl,
        node_local=part.node_local,
        replicas=part.replicas,
        cores_per_replica=part.cores_per_replica,
        race=part.race_probability,
        other_queries_per_s=part.other_queries_per_second,
    )


def dns_document(params: DnsParams) -> dict[str, object]:
    """The section written back; nothing where clients use no names and nobody asked for anything."""
    if params == DnsParams():
        return {}
    written: dict[str, object] = {
        "clientsUseNames": params.clients_use_names,
        "names": params.names,
        "ndots": params.ndots,
        "nodeDomains": params.node_domains,
        "library": params.library,
        "ttl": None if params.ttl_s is None else format_duration(params.ttl_s),
        "nodeLocal": params.node_local,
        "replicas": params.replicas,
        "coresPerReplica": params.cores_per_replica,
        "raceProbability": params.race,
        "otherQueriesPerSecond": params.other_queries_per_s,
    }
    return {"dns": {key: value for key, value in written.items() if value is not None}}
