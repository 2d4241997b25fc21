"""``python -m tests.fuzz``: new inputs until the time is over; what fails is shrunk, shown, and named by its seed."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.inputs import Case, cases
from tests.fuzz.play import play

EXAMPLES = 40  # of one seed


def one(kind: str, number: int) -> Counter[int]:
    """Play the inputs of one kind and seed; return how often each exit code came.  A fault is raised."""
    codes: Counter[int] = Counter()

    @seed(number)
    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, derandomize=False, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases()[kind])
    def playing(case: Case) -> None:
        codes.update(code for _, code in play(case))

    playing()
    return codes


def main() -> int:
    """Return 1 if there was a fault, after the time that was given."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to go on")
    parser.add_argument("--kind", choices=sorted(cases()), action="append", help="only this; may be given twice")
    parser.add_argument("--seed", type=int, help="only this seed, once: the line that replays a fault")
    given_ = parser.parse_args()
    kinds, until, faults = given_.kind or sorted(cases()), time.monotonic() + given_.seconds, 0
    codes: Counter[int] = Counter()
    while True:
        for kind in kinds:
            number = secrets.randbits(32) if given_.seed is None else given_.seed
            try:
                codes += one(kind, number)
            except BaseException as fault:
                if isinstance(fault, KeyboardInterrupt | SystemExit):
                    raise
                faults += 1
                traceback.print_exc()
                print(f'\nreplay: make fuzz ARGS="--kind {kind} --seed {number}"\n', file=sys.stderr, flush=True)
            if time.monotonic() > until:
                break
        if given_.seed is not None or time.monotonic() > until:
            break
    ends = ", ".join(f"{code}: {count:,}" for code, count in sorted(codes.items()))
    print(f"{sum(codes.values()):,} commands, by exit code: {ends}; {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
