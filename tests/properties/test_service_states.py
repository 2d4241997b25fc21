"""What a Service's state keeps up to date by changes is what comparing everything with everything finds.

The oracle holds whole dictionaries: of what is wanted, of every slice as it was last written, of addresses; it finds
what is new by comparing them, and looks at every Pod with an unwritten change after every write.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kpsim.cluster.changes import ChangeKind
from kpsim.cluster.grow import grow
from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.api.sizes import ObjectSizes
from kpsim.controlplane.deliveries import DeliveryLog
from kpsim.controlplane.endpoints import EndpointsController, EndpointsSettings
from kpsim.controlplane.services import ABSENT, READY, SERVING, TERMINATING, ServiceStates
from kpsim.controlplane.slices import pack, reconcile
from kpsim.profiles.defaults import load_defaults
from tests.changes import Told, changes_of

PODS = 6
MOST = 2
KINDS = tuple(kind for kind in ChangeKind if kind.name.startswith("POD_"))
Bits = dict[int, int]


@dataclass
class Oracle:
    """One Service by whole dictionaries."""

    keys: list[int]
    committed: Bits
    pieces: dict[int, Bits]  # by slice
    pending: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)

    def note(self, before: Bits, wanted: Bits, at_ns: int) -> None:
        for pod in range(PODS):
            if (before.get(pod, 0) ^ wanted.get(pod, 0)) & READY:
                changes = self.pending.setdefault(pod, [])
                if len(changes) == 2 and changes[0][1] != bool(self.committed.get(pod, 0) & READY):
                    changes.clear()
                changes.append((at_ns, bool(wanted.get(pod, 0) & READY)))

    def usable(self) -> tuple[int, ...]:
        some = [pod for pod, bits in self.committed.items() if bits & READY]
        some = some or [pod for pod, bits in self.committed.items() if bits & SERVING and bits & TERMINATING]
        return tuple(sorted(some, key=self.keys.__getitem__))

    def commit(self, piece: int, endpoints: Bits, wanted: Bits) -> tuple[object, ...]:
        old = self.usable()
        for pod in self.pieces.get(piece, {}):
            self.committed.pop(pod, None)
        self.committed |= endpoints
        self.pieces[piece] = dict(endpoints)
        effects = []
        for pod, changes in list(self.pending.items()):
            bits = self.committed.get(pod, 0)
            if bool(bits & READY) == changes[0][1]:
                effects.append(changes.pop(0)[0])
            elif len(changes) > 1 and (bits & TERMINATING or pod not in wanted):
                changes.clear()
            if not changes:
                del self.pending[pod]
        return self.usable(), len(self.committed), len(set(old) ^ set(self.usable())), tuple(effects)


def addresses(wanted: Bits) -> Bits:
    """What an Endpoints object holds: no terminating Pods, no more than fit, the ready ones first."""
    kept = {pod: bits & READY for pod, bits in wanted.items() if not bits & TERMINATING or bits & READY}
    return dict(sorted(kept.items(), key=lambda item: -item[1])[:MOST])


# a change of a Pod, or a sync whose writes are committed after so many more changes each
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, PODS - 1)) | st.tuples(st.none(), st.integers(0, 3)), max_size=40
)


@given(
    OPERATIONS,
    st.lists(st.sampled_from([ABSENT, 0, 1, 2, 3, 4, 6, 7]), min_size=PODS, max_size=PODS),
    st.integers(1, 3),
    st.booleans(),
)
def test_by_what_changed_is_by_comparing_all(
    operations: list[tuple[ChangeKind | None, int]], bits: list[int], most: int, publishes: bool
) -> None:
    cluster = grow(ClusterParams(nodes=1), [ServiceGroup("s", 1, EndpointCount(mean=PODS))], (), 0, seed=1)
    told: list[Told] = [(at, KINDS[0], pod) for at, pod in enumerate(range(PODS))]
    cluster = replace(cluster, pod_state=np.array(bits, np.int64))
    states = ServiceStates(cluster, changes_of(cluster, told))
    state = states.of(0)
    state.published = READY * publishes
    slices = pack(states.at_start(0), most)
    oracle = Oracle(state.rank, states.at_start(0), {id(piece): dict(piece.endpoints) for piece in slices})
    log, defaults = DeliveryLog(), load_defaults()
    made = replace(EndpointsSettings.of(1e6, 10_000, defaults), most_addresses=MOST)
    sizes = ObjectSizes.of("fields", defaults)
    endpoints = EndpointsController(made, sizes, states, log, 1 << 60, np.random.default_rng(1))
    written, objects, wanted = addresses(states.at_start(0)), 0, states.at_start(0)
    now = 0
    queue = list(operations)
    while queue:
        kind, number = queue.pop(0)
        now += 1_000_000_000
        if kind is not None:
            states.apply(kind, number, now)
            oracle.note(wanted, state.wanted, now)
            wanted = dict(state.wanted)
            continue
        endpoints.add(0, now)
        endpoints.advance(now + 1)
        objects += addresses(wanted) != written
        written = addresses(wanted)
        assert len(log.endpoints_ns) == objects
        listed = dict(wanted)
        done = reconcile(slices, state.take_news(), most)
        assert {pod: b for piece in slices for pod, b in piece.endpoints.items()} == listed
        for piece in (*done.created, *done.updated, *done.deleted):
            for _ in range(min(number, len(queue))):  # the informer hears of more meanwhile
                if queue[0][0] is None:
                    break
                now += 1
                states.apply(*queue.pop(0), now)  # type: ignore[arg-type]  # a kind, as was looked at
                oracle.note(wanted, state.wanted, now)
                wanted = dict(state.wanted)
            expected = oracle.commit(id(piece), piece.endpoints, wanted)
            found = state.commit(piece.unsent)
            piece.unsent = {}
            assert (tuple(found.usable), found.endpoints, found.changed, tuple(found.effects_ns)) == expected
        assert state.committed == listed
