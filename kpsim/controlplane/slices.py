"""The EndpointSlice controller packs endpoints into slices by filling them, and never merges.

Structure from kubernetes/endpointslice reconciler.go: (1) endpoints already in a slice are kept, refreshed or dropped
there; (2) newcomers top up slices that are being written anyway, fullest first; (3) what remains goes to the one
unchanged slice that can take all of it and ends closest to full, else to new slices.  Slices thin out after a
scale-down and stay thin.  Which newcomer lands where is the random order of a hash map there; here it is the order in
which they came, a choice of ours: of endpoints that came together more are in one slice than by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Slice:
    """One EndpointSlice: endpoint -> condition bits."""

    endpoints: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SliceWrites:
    """API writes of one sync, in the order they are sent."""

    created: tuple[Slice, ...]
    updated: tuple[Slice, ...]
    deleted: tuple[Slice, ...]

    def __len__(self) -> int:
        return len(self.created) + len(self.updated) + len(self.deleted)


def pack(endpoints: Mapping[int, int], most: int) -> list[Slice]:
    """Slices of a Service that came into being at once: full ones and a remainder; one empty slice for none."""
    items = list(endpoints.items())
    return [Slice(dict(items[i : i + most])) for i in range(0, max(len(items), 1), most)]


def reconcile(slices: list[Slice], wanted: Mapping[int, int], most: int) -> SliceWrites:
    """Bring ``slices`` (changed in place) to ``wanted`` (endpoint -> bits), at most ``most`` endpoints a slice."""
    dirty, emptied, placed = _refresh(slices, wanted)
    newcomers = [(e, bits) for e, bits in wanted.items() if e not in placed]
    changed = [s for s in slices if id(s) in dirty]
    untouched = [s for s in slices if id(s) not in dirty and id(s) not in emptied]
    for piece in sorted(changed, key=lambda s: -len(s.endpoints)):
        room = most - len(piece.endpoints)
        piece.endpoints.update(newcomers[:room])
        newcomers = newcomers[max(room, 0) :]
    created: list[Slice] = []
    while newcomers:
        fits = [s for s in untouched if len(s.endpoints) + len(newcomers) <= most]
        if fits and len(newcomers) < most:
            piece = max(fits, key=lambda s: len(s.endpoints))
            untouched.remove(piece)
            changed.append(piece)
        else:
            piece = Slice()
            created.append(piece)
        room = most - len(piece.endpoints)
        piece.endpoints.update(newcomers[:room])
        newcomers = newcomers[room:]
    return _pair(slices, created, changed, [s for s in slices if id(s) in emptied])


def _refresh(slices: list[Slice], wanted: Mapping[int, int]) -> tuple[set[int], set[int], set[int]]:
    """Drop and refresh in place; return (ids of changed slices, ids of emptied ones, endpoints placed)."""
    dirty: set[int] = set()
    emptied: set[int] = set()
    placed: set[int] = set()
    for piece in slices:
        before = piece.endpoints
        after = {e: wanted[e] for e in before if e in wanted}
        placed.update(after)
        if after != before:
            (dirty if after else emptied).add(id(piece))
            piece.endpoints = after
        elif not before and wanted:
            emptied.add(id(piece))  # the placeholder has no ports, so it cannot take endpoints as it is
    return dirty, emptied, placed


def _pair(slices: list[Slice], created: list[Slice], changed: list[Slice], deleted: list[Slice]) -> SliceWrites:
    """Turn each (create, delete) into one update, and keep one empty placeholder rather than no slice at all."""
    while created and deleted:
        piece = deleted.pop()
        piece.endpoints = created.pop().endpoints
        changed.append(piece)
    if deleted and len(deleted) == len(slices) and not created:
        changed.append(deleted.pop())
    slices[:] = [s for s in slices if not any(s is d for d in deleted)] + created
    return SliceWrites(tuple(created), tuple(changed), tuple(deleted))
