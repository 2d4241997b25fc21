"""Environment variables that a container finds its Services by, where ``enableServiceLinks`` is left as it is (true).

A container gets them when it starts, for every Service with a ClusterIP in its Pod's namespace and for
``default/kubernetes``; they count towards what the kernel takes at ``execve()``.

Source: pkg/kubelet/envvars/envvars.go (FromServices); Linux fs/exec.c (strings with their NUL, and a pointer each).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar

from kpsim.units import I64

POINTER_BYTES = 8  # of a 64-bit kernel
Ports = tuple[tuple[str, int, str], ...]  # (name, number, protocol)
Count = TypeVar("Count", int, I64)

KUBERNETES = ("kubernetes", "10.96.0.1", (("https", 443, "TCP"),))  # in every Pod


def variables_of(name: str, ip: str, ports: Ports) -> Iterator[str]:
    """Yield every variable of one Service, as ``NAME=value``."""
    prefix = name.upper().replace("-", "_")
    first = ports[0]
    yield f"{prefix}_SERVICE_HOST={ip}"
    yield f"{prefix}_SERVICE_PORT={first[1]}"
    for port, number, _ in ports:
        if port:
            yield f"{prefix}_SERVICE_PORT_{port.upper().replace('-', '_')}={number}"
    yield f"{prefix}_PORT={first[2].lower()}://{ip}:{first[1]}"
    for _, number, protocol in ports:
        start = f"{prefix}_PORT_{number}_{protocol}"
        yield f"{start}={protocol.lower()}://{ip}:{number}"
        yield f"{start}_PROTO={protocol.lower()}"
        yield f"{start}_PORT={number}"
        yield f"{start}_ADDR={ip}"


def variable_count(ports: Count, named: Count) -> Count:
    """Return the number of variables of a Service with ``ports`` ports, ``named`` of which have a name: 3 + m + 4p."""
    return 3 + named + 4 * ports


def environment_bytes(name_letters: Count, ip_letters: Count, ports: Ports) -> Count:
    """Return the bytes that a Service adds to an environment, by the lengths of its name and address.

    The name stands in each variable once, the address in two and in two more for each port.
    """
    if not ports:
        return 0 * name_letters
    fixed, count = _shape(ports)
    return fixed + count * name_letters + (2 + 2 * len(ports)) * ip_letters


@lru_cache(maxsize=1024)
def _shape(ports: Ports) -> tuple[int, int]:
    """Return (bytes independent of name and address, number of variables)."""
    fixed = sum(len(text) + 1 + POINTER_BYTES for text in variables_of("", "", ports))
    return fixed, variable_count(len(ports), sum(bool(name) for name, _, _ in ports))
