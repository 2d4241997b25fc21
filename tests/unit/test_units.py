from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpsim.units import (
    UnitError,
    format_duration,
    parse_count,
    parse_duration,
    parse_number,
    to_ns,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("250ms", 0.25),
        ("1m30s", 90),
        ("15m0s", 900),
        ("24h0m0s", 86400),
        ("0", 0),
        ("0s", 0),
        (0, 0),
        ("1.5h", 5400),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("10μs", 1e-5),
        ("7ns", 7e-9),
        (" 1s ", 1),
        (".5s", 0.5),
    ],
)
def test_durations_are_read_in_seconds(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        (30, "no unit", "write 30s"),
        ("30", "no unit", "write 30s"),
        (1.5, "no unit", "write 1.5s"),
        ("-1s", "negative", ""),
        ("soon", "not a duration", "30s"),
        ("", "not a duration", ""),
        (None, "empty", ""),
        (True, "truth value", ""),
        ([], "a list", ""),
        ("1d", "not a duration", ""),
        ("s", "not a duration", ""),
    ],
)
def test_what_is_not_a_duration(text: object, what: str, mend: str) -> None:
    with pytest.raises(UnitError, match=what) as caught:
        parse_duration(text)
    assert mend in caught.value.mend


@given(st.floats(0, 1e9))
def test_a_written_duration_reads_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (90, "1m30s"),
        (3600, "1h"),
        (0.25, "250ms"),
        (1e-6, "1us"),
        (7e-9, "7ns"),
        (60.5, "60500ms"),
    ],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (7, 7),
        ("100k", 100_000),
        ("10M", 10**7),
        ("1e6", 10**6),
        ("1_000", 1000),
        ("2.5k", 2500),
        (2.0, 2),
        ("-5", -5),
        (10**30, 10**30),
        ("1T", 10**12),
    ],
)
def test_counts_are_read_with_their_suffix(text: object, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", [1.5, "1.5", "many", "", None, True, float("nan"), float("inf"), "1e-3", "10**"])
def test_what_is_not_a_count(text: object) -> None:
    with pytest.raises(UnitError):
        parse_count(text)


def test_numbers_are_read_and_endless_ones_refused() -> None:
    assert parse_number("0.5") == 0.5
    assert parse_number("10k") == 10_000
    for endless in (float("inf"), float("nan"), "inf", 10**400, True):
        with pytest.raises(UnitError):
            parse_number(endless)


def test_seconds_become_whole_nanoseconds() -> None:
    assert to_ns(1.5e-9) == 2
    assert to_ns(12.25) == 12_250_000_000
