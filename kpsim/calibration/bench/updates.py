"""Commands on rules of growing sizes are timed, all modes and sizes in turn, as often as the time allows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from time import perf_counter

from kpsim.calibration.bench.namespaces import Namespace
from kpsim.calibration.bench.plan import Updates
from kpsim.calibration.bench.tools import Timed, timed

MOST_ROUNDS, FEWEST_SIZES = 12, 3
GROWTH = (
    1.25  # of a round in which everything is timed, with its rules: loads grow by the square where they are slowest
)
FIRST_SHARE = 0.5  # of the time, in which every size is to be seen once
Found = dict[str, list[Timed]]  # quantity -> samples


@dataclass(slots=True)
class Visited:
    """A size with its samples; ``took_s``: the last round in which everything was timed."""

    size: Updates
    took_s: float = 0.0
    rounds: int = 0
    samples: Found = field(default_factory=lambda: defaultdict(list))

    def round(self) -> None:
        """Time every step once, from empty tables on."""
        began_s = perf_counter()
        inside = Namespace.make()
        try:
            for each in self.size.inputs:
                inside.run(each.command, each.text)
            for step in self.size.steps:
                self.samples[step.quantity].append(timed(inside, step.run))
                if step.undo:
                    inside.run(step.undo.command, step.undo.text)
        finally:
            inside.close()
        self.took_s = perf_counter() - began_s
        self.rounds += 1

    def turn(self) -> float:
        """Return how much has been spent on it; least first makes rounds as 1 / sqrt(time), Neyman's allocation.

        All rows weigh the same in a fit and scatter much alike: a dear one is worth fewer samples, and not so much
        fewer as it is dear (Cochran, Sampling Techniques, 3rd ed., section 5.5).
        """
        return self.rounds * math.sqrt(self.took_s)


def measure(modes: Sequence[Sequence[Updates]], seconds: float) -> Iterator[list[Visited]]:
    """Yield after each round whatever has been visited until then: sizes of all modes in turn, for so many seconds.

    Each mode's sizes, small ones first, are visited once before any is visited again, and modes take turns: a slow
    moment of the host, which may last for seconds, then falls on one sample in many of each.  After that cheap sizes
    are visited more often than dear ones.  Time that passes between two rounds does not count.
    """
    spent_s, found = 0.0, list[Visited]()
    last: list[Visited | None] = [None] * len(modes)
    full = [False] * len(modes)  # larger sizes of it would take too long
    for n, sizes in enumerate(zip_longest(*modes)):
        for mode, size in enumerate(sizes):
            before = last[mode]
            if size is None or full[mode]:
                continue
            expected_s = before.took_s * max(size.rules / before.size.rules, 1.0) ** GROWTH if before else 0.0
            if spent_s + expected_s > FIRST_SHARE * seconds and n >= FEWEST_SIZES:
                full[mode] = True
                continue
            last[mode] = now = Visited(size)
            now.round()
            spent_s += now.took_s
            found.append(now)
            yield found
    while ready := [each for each in found if spent_s + each.took_s < seconds and each.rounds < MOST_ROUNDS]:
        each = min(ready, key=Visited.turn)
        each.round()
        spent_s += each.took_s
        yield found
