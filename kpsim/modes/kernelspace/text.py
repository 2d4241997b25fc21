"""HNS' holdings are listed for people: the documents kube-proxy hands it, and the shape ``hnsdiag`` shows.

A listing, not something a tool loads: HNS gives its objects identities of its own when they are made, and kube-proxy
makes them one by one through a library.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from kpsim.modes.kernelspace.policies import HnsEndpoint, LoadBalancer, WindowsRules
from kpsim.proxy.rules import few

REMOTE = 1  # the flag of a remote endpoint


def document_lines(rules: WindowsRules, changed: Collection[str] | None = None) -> Iterator[str]:
    """Endpoints, then load balancers, each a JSON document on a line, a comment above those of a service port.

    With ``changed``, the load balancers of these Services and the endpoints behind them.
    """
    policies = [policy for policy in rules.policies if changed is None or policy.service in changed]
    wanted = {e.ip for policy in policies for e in policy.endpoints}
    yield "# a listing, not to be loaded: identities are made up, HNS gives GUIDs"
    yield "# HostComputeEndpoints: this node's own were made by its CNI plugin"
    for endpoint in rules.endpoints.values():
        if changed is None or endpoint.ip in wanted:
            yield json.dumps(_endpoint(endpoint))
    yield "# HostComputeLoadBalancers"
    for policy in policies:
        yield f"# {policy.label} {policy.kind}"
        yield json.dumps(policy.document())


def _endpoint(endpoint: HnsEndpoint) -> dict[str, object]:
    found: dict[str, object] = {"ID": endpoint.id, "IpConfigurations": [{"IpAddress": endpoint.ip}]}
    return found | ({"MacAddress": endpoint.mac, "Flags": REMOTE} if endpoint.remote else {"Flags": 0})


def listing_lines(rules: WindowsRules, service: str, most_backends: int) -> Iterator[str]:
    """Yield the load balancers of ``service`` as ``hnsdiag list loadbalancers`` shows them, with what it leaves out."""
    mine = [policy for policy in rules.policies if policy.service == service]
    if not mine:
        yield "# none: HNS has no load balancer that nobody is behind"
    for policy in mine:
        yield from _shown(policy)
        if len(policy.endpoints) > most_backends:
            yield f"  # Windows takes at most {most_backends:,} endpoints: this one is refused and does not exist"


def _shown(policy: LoadBalancer) -> Iterator[str]:
    how = "direct server return, the endpoint sees the client" if policy.dsr else policy.source_vip
    yield f"Load Balancer    : {policy.id}   ({policy.label}, {policy.kind})"
    yield f"  Virtual IPs      : {policy.vip or 'any address of the node'}"
    yield f"  Port             : {policy.external_port}/{policy.protocol} -> {policy.internal_port}"
    yield f"  Source VIP       : {how}"
    yield f"  Distribution     : {'client address (ClientIP)' if policy.affinity else 'five-tuple'}"
    backends = zip(policy.document()["HostComputeEndpoints"], policy.endpoints, strict=True)
    yield from few(
        [f"  Direct IP        : {id_} {e.ip}{'' if e.local else ' (remote)'}" for id_, e in backends], "endpoints"
    )
