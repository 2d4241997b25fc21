"""A short form of ``make fuzz``: any input ends with an answer, in bounded time, without a traceback."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import Case, cases
from tests.fuzz.play import play

EXAMPLES = {
    "scenarios": 25,
    "texts": 40,
    "manifests": 25,
    "dumps": 25,
    "logs": 25,
    "sets": 10,
    "kept": 10,
    "resumed": 4,
    "profiles": 8,
}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_every_input_is_answered(kind: str) -> None:
    codes: set[int] = set()

    @settings(max_examples=EXAMPLES[kind], suppress_health_check=list(HealthCheck))
    @given(case=cases()[kind])
    def playing(case: Case) -> None:
        codes.update(code for _, code in play(case))

    playing()
    assert kind == "resumed" or codes & {3, 4}  # some are wrong; a damaged point is simulated again
    assert kind in ("logs", "sets") or 0 in codes  # and some are right


def test_a_fault_is_found() -> None:
    with pytest.raises(AssertionError, match="exit code 2"):
        play(Case("a.yaml", b"", (("check", "FILE", "--no-such-option"),)))


def test_each_kind_is_among_them() -> None:
    assert sorted(cases()) == sorted(EXAMPLES)
