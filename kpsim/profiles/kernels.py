"""A node's kernel is compared with the one that a profile was measured on, and what is known of it is said."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from kpsim.profiles.costs import load_profile, profile_names
from kpsim.profiles.format import Machine
from kpsim.profiles.shipped import shipped
from kpsim.units import Version

MOST_NAMED = 4
RELEASES_A_VERSION = 20
FAR = 1000
EMULATED = "uml"  # a guest in user mode is nobody's node


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
    others = sorted(release for release in releases if _away(release, machine))
    if not others:
        return ""
    named = ", ".join("{}.{}".format(*release) for release in others[:MOST_NAMED])
    more = ", …" if len(others) > MOST_NAMED else ""
    said = [f"{each['says']} ({each['from']} to {each['until']})" for each in _known() if _about(each, others, modes)]
    what = f"nodes run Linux {named}{more}, and costs are those of Linux {machine.kernel} (profile {name})"
    better = nearest_profile(others, name)
    advice = [f"profile {better} is nearer: --set profile.name={better}"] if better != name else []
    return "; ".join([what, *said, *advice])


def nearest_profile(releases: Collection[Version], name: str) -> str:
    """Return the profile whose kernels are nearest to ``releases`` as a whole; ``name`` where no other is nearer.

    >>> nearest_profile([(4, 15)], "linux-6.18-zen3"), nearest_profile([(6, 17)], "linux-6.18-zen3")
    ('linux-4.x-studies', 'linux-6.18-zen3')
    """
    newest_first = sorted(profile_names(), key=lambda each: _ends(load_profile(each).text.machine), reverse=True)
    candidates = [name, *(each for each in newest_first if not each.startswith(EMULATED))]
    machines = {each: load_profile(each).text.machine for each in candidates}

    def away(each: str) -> int:
        machine = machines[each]
        return sum(_away(release, machine) for release in releases) if machine else len(releases) * FAR

    return min(candidates, key=away)


def _away(release: Version, machine: Machine) -> int:
    """Return how many releases of Linux lie between ``release`` and the kernels of ``machine``."""
    low, high = (_number(kernel_release(end) or (0, 0)) for end in machine.kernels)
    return max(low - _number(release), _number(release) - high, 0)


def _ends(machine: Machine | None) -> Version:
    return (kernel_release(machine.kernels[1]) if machine else None) or (0, 0)


def _number(release: Version) -> int:
    """Return a number for a release: Linux counts to about twenty before it begins with the next one."""
    return release[0] * RELEASES_A_VERSION + release[1]


def _about(known: dict[str, Any], releases: Collection[Version], modes: Collection[str]) -> bool:
    first, last = kernel_release(known["from"]) or (0, 0), kernel_release(known["until"]) or (0, 0)
    return any(first <= each <= last for each in releases) and any(mode in known["modes"] for mode in modes)
