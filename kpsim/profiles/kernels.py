"""A node's kernel is compared with the one that a profile was measured on, and what is known of it is said."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from kpsim.profiles.format import Machine
from kpsim.profiles.shipped import shipped
from kpsim.units import Version

MOST_NAMED = 4


def kernel_release(text: str) -> Version | None:
    """Return "6.8.0-51-generic" as (6, 8), ``None`` for what is no release of Linux."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})(?:\D|$)", text)
    return (int(found[1]), int(found[2])) if found else None


@cache
def _known() -> tuple[dict[str, Any], ...]:
    return tuple(shipped("kernels.yaml"))


def kernel_warning(name: str, machine: Machine | None, kernels: Iterable[str], modes: Collection[str]) -> str:
    """Return a sentence about nodes whose kernel is not the one of profile ``name``; "" where there is none."""
    releases = {release for text in kernels if (release := kernel_release(text))}
    if machine is None or not releases:
        return ""
    low, high = (kernel_release(end) or (0, 0) for end in machine.kernels)
    others = sorted(release for release in releases if not low <= release <= high)
    if not others:
        return ""
    named = ", ".join("{}.{}".format(*release) for release in others[:MOST_NAMED])
    more = ", …" if len(others) > MOST_NAMED else ""
    said = [f"{each['says']} ({each['from']} to {each['until']})" for each in _known() if _about(each, others, modes)]
    what = f"nodes run Linux {named}{more}, and costs are those of Linux {machine.kernel} (profile {name})"
    return "; ".join([what, *said])


def _about(known: dict[str, Any], releases: Collection[Version], modes: Collection[str]) -> bool:
    first, last = kernel_release(known["from"]) or (0, 0), kernel_release(known["until"]) or (0, 0)
    return any(first <= each <= last for each in releases) and any(mode in known["modes"] for mode in modes)
