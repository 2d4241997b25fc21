"""``ABOUT`` tells this mode's changes by release, the parts modelled, and the parts left out."""

from __future__ import annotations

from kpsim.proxy.contract import ModeAbout

ABOUT = ModeAbout(
    history=(),
    modelled=(
        "the Service, backend, reverse-NAT, affinity and source-range maps, both scopes of traffic policies, lookups "
        "of sockets and of clients outside, what the agent writes, maps that fill up"
    ),
    left_out=(
        "Maglev, direct server return, XDP, wildcard entries for unknown ports, slots of endpoints that terminate "
        "beside ready ones, network policies, the cost of traffic from outside"
    ),
)
