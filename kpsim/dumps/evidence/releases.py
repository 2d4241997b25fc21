"""Releases of Kubernetes that a sign agrees with, and the nearest of them to one that is taken anyway."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Release = tuple[int, int]

EARLIEST, LATEST = (0, 0), (99, 99)
_VERSION = re.compile(r"v?(\d{1,2})\.(\d{1,3})(?:[.+-].*)?")


@dataclass(frozen=True, slots=True)
class Releases:
    """Releases from ``first`` to ``last``, and what was seen that they have and others lack."""

    first: Release = EARLIEST
    last: Release = LATEST
    said: str = ""

    def __str__(self) -> str:
        if (self.first, self.last) == (EARLIEST, LATEST):
            return "any release"
        first, last = (f"{at[0]}.{at[1]}" for at in (self.first, self.last))
        if self.first == self.last:
            return first
        if self.first == EARLIEST:
            return f"{last} or earlier"
        return f"{first} or later" if self.last == LATEST else f"{first} to {last}"

    def nearest(self, release: Release) -> Release:
        """``release`` itself if it is one of them, else the end that is nearer."""
        return min(max(release, self.first), self.last)

    def within(self, other: Releases) -> Releases:
        """Return the releases that agree with both signs; where none does, these: a change of releases is under way."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        if first > last or not other.said:
            return self
        return Releases(first, last, ", ".join(filter(None, (self.said, other.said))))


def release_of(version: str) -> Release | None:
    """Return the minor release of ``v1.36.2+k3s1``."""
    found = _VERSION.fullmatch(version.strip())
    return (int(found[1]), int(found[2])) if found else None


def agreed(signs: Iterable[Releases]) -> Releases:
    """Return the releases that several signs allow together."""
    found = Releases()
    for sign in signs:
        found = found.within(sign)
    return found
