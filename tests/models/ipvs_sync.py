"""What one sync changes in the kernel, and how real servers that are no longer wanted go.

A real server without connections, or of a UDP or SCTP service, is deleted in the sync.  Any other gets weight 0 and
waits in a queue that is looked at every minute, until its connections have ended; if its endpoint comes back meanwhile
it is deleted and added anew, which ends what was left.  The first sync of a process gives wanted real servers their
weight back, because the queue did not survive.  A deleted virtual server takes its real servers with it.
Source: pkg/proxy/ipvs/proxier.go (syncService, syncEndpoint, cleanLegacyService), graceful_termination.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kpsim.modes.ipvs.ipsets import SETS
from kpsim.modes.ipvs.program import IpvsRules, RealServer, VirtualService
from kpsim.proxy.rules import PortKey

CHECK_PERIOD_S = 60

Place = tuple[PortKey, str]
"""A real server of a virtual server: the latter's key and the former's ``ip:port``."""

Connections = Mapping[Place, int]
"""Active and inactive connections of real servers; those not named have none."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is in the kernel, and which real servers kube-proxy waits for."""

    services: Mapping[PortKey, VirtualService] = field(default_factory=dict)
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bound: tuple[str, ...] = ()
    waiting: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True)
class Changes:
    """What a sync does beyond looking; ``entries`` are (set, entry)."""

    services_added: tuple[PortKey, ...] = ()
    services_updated: tuple[PortKey, ...] = ()
    services_deleted: tuple[PortKey, ...] = ()
    servers_added: tuple[Place, ...] = ()
    servers_reset: tuple[Place, ...] = ()  # to weight 1
    servers_deleted: tuple[Place, ...] = ()
    servers_drained: tuple[Place, ...] = ()  # to weight 0
    entries_added: tuple[tuple[str, str], ...] = ()
    entries_removed: tuple[tuple[str, str], ...] = ()
    addresses_bound: tuple[str, ...] = ()
    addresses_unbound: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)

    @property
    def netlink_calls(self) -> int:
        """Requests to IPVS that change something."""
        lists = (
            self.services_added, self.services_updated, self.services_deleted, self.servers_added, self.servers_reset,
            self.servers_deleted, self.servers_drained,
        )  # fmt: skip
        return sum(map(len, lists))

    @property
    def processes(self) -> int:
        """Processes of ipset beyond those that make sure of the sets and list them: one an entry."""
        return len(self.entries_added) + len(self.entries_removed)


@dataclass(slots=True)
class _Servers:
    """The real servers of one virtual server while a sync goes over them."""

    key: PortKey
    there: dict[str, RealServer]
    waiting: set[Place]
    added: list[Place] = field(default_factory=list)
    reset: list[Place] = field(default_factory=list)
    deleted: list[Place] = field(default_factory=list)
    drained: list[Place] = field(default_factory=list)

    def want(self, server: RealServer, first: bool) -> None:
        place = self.key, server.address
        held = self.there.get(server.address)
        if held is None:
            self.added.append(place)
        elif place in self.waiting:  # it is back: deleted with what it still had, and added
            self.waiting.discard(place)
            self.deleted.append(place)
            self.added.append(place)
            del self.there[server.address]
        elif first and held.weight != server.weight:
            self.reset.append(place)
        else:
            return
        self.there[server.address] = server

    def drop(self, address: str, connections: Connections) -> None:
        place = self.key, address
        if place in self.waiting:
            return
        if _busy(place, connections):
            self.drained.append(place)
            self.waiting.add(place)
            self.there[address] = replace(self.there[address], weight=0)
        else:
            self.deleted.append(place)
            del self.there[address]


def _busy(place: Place, connections: Connections) -> bool:
    """Whether a real server must be waited for."""
    server, _ = place
    return server.protocol not in ("UDP", "SCTP") and connections.get(place, 0) > 0


def sync(
    kernel: Kernel, wanted: IpvsRules, connections: Connections | None = None, *, first: bool = False
) -> tuple[Changes, Kernel]:
    """Bring ``kernel`` to what is ``wanted``; ``first`` for the first sync of a kube-proxy process."""
    services: dict[PortKey, VirtualService] = {}
    every: list[_Servers] = []
    waiting = set(kernel.waiting)
    for key, service in wanted.services.items():
        held = kernel.services.get(key)
        servers = _Servers(key, {at.address: at for at in held.real_servers} if held else {}, waiting)
        asked = {at.address: at for at in service.real_servers}
        for server in asked.values():
            servers.want(server, first)
        for address in [at for at in servers.there if at not in asked]:
            servers.drop(address, connections or {})
        services[key] = replace(service, real_servers=tuple(servers.there.values()))
        every.append(servers)
    deleted = tuple(key for key in kernel.services if key not in services)
    both = [(key, held) for key, held in kernel.services.items() if key in services]
    changes = Changes(
        services_added=tuple(key for key in services if key not in kernel.services),
        services_updated=tuple(key for key, held in both if held.settings != services[key].settings),
        services_deleted=deleted,
        servers_added=tuple(place for servers in every for place in servers.added),
        servers_reset=tuple(place for servers in every for place in servers.reset),
        servers_deleted=tuple(place for servers in every for place in servers.deleted),
        servers_drained=tuple(place for servers in every for place in servers.drained),
        entries_added=_entries(wanted.sets, kernel.sets),
        entries_removed=_entries(kernel.sets, wanted.sets),
        addresses_bound=_without(wanted.bound, kernel.bound),
        addresses_unbound=_without(kernel.bound, wanted.bound),
    )
    left = frozenset(place for place in waiting if place[0] in services)
    return changes, Kernel(services, dict(wanted.sets), wanted.bound, left)


def _without(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    known = frozenset(others)
    return tuple(at for at in some if at not in known)


def _entries(some: Mapping[str, frozenset[str]], others: Mapping[str, frozenset[str]]) -> tuple[tuple[str, str], ...]:
    """Entries that are in some sets and not in the others of the same names."""
    none: frozenset[str] = frozenset()
    return tuple((name, entry) for name in SETS for entry in sorted(some.get(name, none) - others.get(name, none)))


def expire(kernel: Kernel, connections: Connections | None = None) -> tuple[tuple[Place, ...], Kernel]:
    """The look at the queue once in :data:`CHECK_PERIOD_S`: real servers whose last connection has ended go."""
    gone = {place for place in kernel.waiting if not _busy(place, connections or {})}
    services = dict(kernel.services)
    for key in {key for key, _ in gone}:
        kept = tuple(at for at in services[key].real_servers if (key, at.address) not in gone)
        services[key] = replace(services[key], real_servers=kept)
    return tuple(sorted(gone)), replace(kernel, services=services, waiting=kernel.waiting - gone)
