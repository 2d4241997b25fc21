"""Rules of Services and work of syncs under nftables in closed form, by Kubernetes version.

A ClusterIP port with e endpoints has 2 e + 2 rules, since 1.36 one.  Up to 1.30 every sync sends everything; since
1.33 each, a partial one too, begins with one terse listing of every rule there is, and a full one reads the maps and
sets and writes what differs; before, chains and sets are listed.  Structure from pkg/proxy/nftables/proxier.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.modes.nftables.layout import Layout
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import RuleCounts, SyncCounts, SyncKind
from kpsim.proxy.counts import EndpointCounts, port_kinds
from kpsim.units import I64

CONSTANT_RULES = 22  # in 16 chains; one more where kube-proxy knows the ranges of Service addresses
CONSTANT_RULES_SINCE_1_36 = 21  # in 15
CONSTANT_RULES_IN_1_29 = 23  # in 14
EXTERNAL_CHAIN_RULES = 2  # mark, goto
ENDPOINT_CHAIN_RULES = 2  # hairpin mark, dnat; since 1.36 memory for session affinity, dnat
LIST_PROCESSES = 2  # nft list chains, nft list sets


@dataclass(frozen=True, slots=True)
class Counts:
    """Closed forms of one version's rules and syncs."""

    layout: Layout

    def rules(self, services: ServiceColumns, endpoints: EndpointCounts) -> RuleCounts:
        """``dispatch`` counts map and set elements (there without endpoints too), ``own`` rules in chains."""
        layout = self.layout
        addresses = services.external_ips + services.load_balancer_ips
        guarded = ((services.load_balancer_ips > 0) & (services.source_ranges > 0)).astype(np.int64)
        reachable, _ = kinds = port_kinds(services, endpoints)
        external = EXTERNAL_CHAIN_RULES + reachable.outside_local * (1 + reachable.outside)
        # an entrance has an element that leads on, one that says nobody is there, or under a Local policy both
        both = reachable.served * (1 - reachable.outside)
        proxied = services.proxied.astype(np.int64)
        entrances = reachable.ports * addresses + services.node_ports * proxied
        cluster_ips = proxied * (1 - services.continued) * layout.checks_cluster_ips
        elements = cluster_ips + entrances * (1 + both)
        elements = elements + reachable.ports * guarded * services.load_balancer_ips
        own = reachable.ports * (reachable.served * external + guarded * layout.checks_cluster_ips)
        for kind in kinds:
            choices = (kind.cluster > 0) * 1 + (kind.local > 0) + services.affinity * (kind.cluster + kind.local)
            if layout.one_rule:
                chains = choices + services.affinity * ENDPOINT_CHAIN_RULES * kind.used
            else:
                chains = kind.inside + choices + (ENDPOINT_CHAIN_RULES + services.affinity) * kind.used
            elements = elements + kind.ports
            own = own + kind.ports * chains
        return RuleCounts(dispatch=elements, own=np.asarray(own, np.int64))

    @property
    def constant_rules(self) -> int:
        """Return the number of rules that do not depend on Services, but for the one about their ranges."""
        if self.layout.one_rule:
            return CONSTANT_RULES_SINCE_1_36
        return CONSTANT_RULES if self.layout.checks_cluster_ips else CONSTANT_RULES_IN_1_29

    def of_sync(self, kind: SyncKind, counts: SyncCounts) -> Mapping[str, int | I64]:
        """Return what a sync meets: rules, kernel objects, chains and sets that are listed, processes that list.

        Half the rules of a ClusterIP port is its number of chains (and affinity sets); twice its rules and its
        elements together are all the kernel objects it is made of, 6 + 4 e with the anonymous map of the choice and
        the elements of that.  Since 1.36 an endpoint is one element of such a map.  What lists rules leaves one cache
        after another, so that a rule costs more the more there are (``rules_doubled``).  A transaction of its own
        deletes chains where endpoints went (``lost``), but the one for Services that are all gone or new is counted
        already.
        """
        layout = self.layout
        mapped = counts.endpoints if layout.one_rule else 0
        containers = len(layout.containers) - 1  # nodeport-ips is written without a look
        kept = counts.changed_services - counts.new_services
        went = np.minimum(counts.endpoint_changes, 1) * np.minimum(kept, 1)
        swept = kind in (SyncKind.FULL, SyncKind.PARTIAL) and not layout.one_rule
        rules = self.constant_rules + counts.own + mapped
        few = load_defaults().value("searched_lists.listed_rules")
        return {
            "rules": rules,
            "rules_doubled": np.rint(rules * np.log2(np.maximum(rules / few, 1))).astype(np.int64),
            "objects": 2 * counts.own + counts.dispatch + mapped,
            "changed_objects": 2 * counts.changed_own,
            "listed": counts.own // 2 + counts.service_ports,
            "lists": 1 + containers * kind.whole if layout.keeps else LIST_PROCESSES,
            "lost": went if swept else 0 * went,
        }
