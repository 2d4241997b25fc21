from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpsim.errors import InputError
from kpsim.kube.allocator import ClusterIPAllocator, parse_range


def test_dynamic_band_first_then_the_static_band_then_an_error() -> None:
    allocator = ClusterIPAllocator("10.0.0.0/27")
    given = [allocator.allocate() for _ in range(30)]
    assert given == [f"10.0.0.{i}" for i in [*range(17, 31), *range(1, 17)]]
    with pytest.raises(InputError, match=r"10\.0\.0\.0/27 is too small: it has 30 and 31 are asked for"):
        allocator.allocate()


def test_a_reserved_address_is_not_given_again() -> None:
    allocator = ClusterIPAllocator("10.0.0.0/24")
    assert allocator.reserve("10.0.0.17")
    assert not allocator.reserve("10.0.0.17")
    assert not allocator.reserve("10.0.1.17")
    assert not allocator.reserve("10.0.0.0")
    assert not allocator.reserve("10.0.0.255")
    assert allocator.allocate() == "10.0.0.18"
    assert allocator.free == 252


def test_a_million_at_once() -> None:
    numbers = ClusterIPAllocator("10.96.0.0/12").allocate_many(1_048_574)
    assert numbers.dtype == np.uint32
    assert len(np.unique(numbers)) == 1_048_574
    assert str(ipaddress.IPv4Address(int(numbers[0]))) == "10.96.1.1"
    assert str(ipaddress.IPv4Address(int(numbers[-1]))) == "10.96.1.0"


@given(data=st.data(), prefix=st.integers(24, 30))
def test_many_at_once_are_the_same_as_one_by_one(data: st.DataObject, prefix: int) -> None:
    cidr = f"10.9.0.0/{prefix}"
    one, many = ClusterIPAllocator(cidr), ClusterIPAllocator(cidr)
    for offset in data.draw(st.lists(st.integers(0, 2 ** (32 - prefix)), max_size=20)):
        ip = str(ipaddress.IPv4Address("10.9.0.0") + offset)
        assert one.reserve(ip) == many.reserve(ip)
    while one.free:
        n = data.draw(st.integers(1, one.free))
        singly = [one.allocate() for _ in range(n)]
        assert singly == [str(ipaddress.IPv4Address(int(number))) for number in many.allocate_many(n)]
    assert many.free == 0
    assert not len(many.allocate_many(0))


@pytest.mark.parametrize("text", ["10.0.0.0/33", "fd00::/129", "everything", ""])
def test_what_is_not_a_range(text: str) -> None:
    with pytest.raises(InputError, match="range"):
        parse_range(text)
