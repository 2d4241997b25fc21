"""The EndpointSlice controller packs endpoints into slices by filling them, and never merges.

Structure from kubernetes/endpointslice reconciler.go: (1) endpoints already in a slice are kept, refreshed or dropped
there; (2) newcomers top up slices that are being written anyway, fullest first; (3) what remains goes to the one
unchanged slice that can take all of it and ends closest to full, else to new slices.  Slices thin out after a
scale-down and stay thin.  Which newcomer lands where is the random order of a hash map there; here it is the order in
which they came, a choice of ours: of endpoints that came together more are in one slice than by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Slice:
    """One EndpointSlice: endpoint -> condition bits."""

    endpoints: dict[int, int] = field(default_factory=dict)
    unsent: dict[int, int | None] = field(default_factory=dict)  # new since it was last written; None: taken out

    def put(self, endpoints: Iterable[tuple[int, int]]) -> None:
        """Take in endpoints."""
        for endpoint, bits in endpoints:
            self.endpoints[endpoint] = self.unsent[endpoint] = bits

    def refresh(self, endpoint: int, bits: int | None) -> None:
        """Give an endpoint that is here other bits, or drop it."""
        if bits is None:
            del self.endpoints[endpoint]
            self.unsent[endpoint] = None
        elif self.endpoints[endpoint] != bits:
            self.endpoints[endpoint] = self.unsent[endpoint] = bits


@dataclass(slots=True)  # not frozen, which takes four times as long: each sync that writes makes one
class SliceWrites:
    """API writes of one sync, in the order they are sent."""

    created: tuple[Slice, ...] = ()
    updated: tuple[Slice, ...] = ()
    deleted: tuple[Slice, ...] = ()

    def __len__(self) -> int:
        return len(self.created) + len(self.updated) + len(self.deleted)


_NOTHING = SliceWrites()


def pack(endpoints: Mapping[int, int], most: int) -> list[Slice]:
    """Slices of a Service that came into being at once: full ones and a remainder; one empty slice for none."""
    if len(endpoints) <= most:
        return [Slice(dict(endpoints))]
    items = list(endpoints.items())
    return [Slice(dict(items[i : i + most])) for i in range(0, len(items), most)]


def reconcile(slices: list[Slice], news: Mapping[int, int | None], most: int) -> SliceWrites:
    """Bring ``slices`` (changed in place) to what is wanted, at most ``most`` endpoints a slice.

    ``news`` are the endpoints whose wanted bits may be others than before (``None``: no longer wanted), newcomers in
    the order in which they came.  All slices have been written since the last call.
    """
    newcomers: list[tuple[int, int]] = []
    for endpoint, bits in news.items():
        for piece in slices:
            if endpoint in piece.endpoints:
                piece.refresh(endpoint, bits)
                break
        else:
            if bits is not None:
                newcomers.append((endpoint, bits))
    changed = [piece for piece in slices if piece.unsent and piece.endpoints]
    # a placeholder, empty before, has no ports, so it cannot take endpoints as it is
    emptied = [piece for piece in slices if not piece.endpoints and (newcomers or piece.unsent)]
    if not newcomers:
        if not emptied:
            return SliceWrites((), tuple(changed)) if changed else _NOTHING
        return _pair(slices, [], changed, emptied)
    for piece in sorted(changed, key=lambda s: -len(s.endpoints)):
        newcomers = _top_up(piece, newcomers, most)
    return _pair(slices, _place(slices, newcomers, changed, most), changed, emptied)


def _top_up(piece: Slice, newcomers: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Fill a slice, and return those that found no room."""
    room = max(most - len(piece.endpoints), 0)
    piece.put(newcomers[:room])
    return newcomers[room:]


def _place(slices: list[Slice], newcomers: list[tuple[int, int]], changed: list[Slice], most: int) -> list[Slice]:
    """Put newcomers into one slice that is not written yet, which joins ``changed``, or into new ones: return these."""
    created: list[Slice] = []
    while newcomers:
        left = most - len(newcomers)
        fits = [s for s in slices if s.endpoints and not s.unsent and len(s.endpoints) <= left] if left > 0 else []
        if fits:
            piece = max(fits, key=lambda s: len(s.endpoints))
            changed.append(piece)
        else:
            piece = Slice()
            created.append(piece)
        newcomers = _top_up(piece, newcomers, most)
    return created


def _pair(slices: list[Slice], created: list[Slice], changed: list[Slice], deleted: list[Slice]) -> SliceWrites:
    """Turn each (create, delete) into one update, and keep one empty placeholder rather than no slice at all."""
    while created and deleted:
        piece, new = deleted.pop(), created.pop()
        piece.endpoints = new.endpoints
        piece.unsent |= new.unsent
        changed.append(piece)
    if deleted and len(deleted) == len(slices) and not created:
        changed.append(deleted.pop())
    if deleted or created:
        slices[:] = [s for s in slices if not any(s is d for d in deleted)] + created
    return SliceWrites(tuple(created), tuple(changed), tuple(deleted))
