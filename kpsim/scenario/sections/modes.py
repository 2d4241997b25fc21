"""The modes that a scenario names must exist, be built, and be in its Kubernetes version."""

from __future__ import annotations

from collections.abc import Sequence

from kpsim.documents import Key
from kpsim.errors import did_you_mean
from kpsim.scenario.complaints import Complaints
from kpsim.units import Version


def built_modes() -> tuple[str, ...]:
    """Return the names of the modes there are, in the registry's order."""
    from kpsim.proxy.registry import MODES

    return tuple(MODES)


def usual_modes(version: Version) -> tuple[str, ...]:
    """Return the modes a Linux cluster of a Kubernetes ``version`` chooses among, in the registry's order."""
    from kpsim.proxy.registry import MODES

    there = ("available", "deprecated")
    return tuple(name for name, entry in MODES.items() if entry.usual and entry.status(version) in there)


def check_modes(modes: Sequence[str], mode: str, version: Version, complaints: Complaints, *, compared: bool) -> None:
    """Complain of the modes compared, and of the one kube-proxy is configured for, if they are not there."""
    named: list[tuple[Key, str]] = [(("spec", "kubeProxy", "mode"), mode)]
    if compared:
        named += [(("spec", "compare", "modes", index), name) for index, name in enumerate(modes)]
    for key, name in named:
        wrong = _wrong(name, version)
        if wrong:
            complaints.problem(key, *wrong)
    if len(set(modes)) != len(modes):
        complaints.problem(("spec", "compare", "modes"), "a mode is named twice")


def _wrong(name: str, version: Version) -> tuple[str, str] | None:
    """Return (problem, mend) for a mode's name, or None if it is right."""
    from kpsim.proxy.registry import MODES

    known = f"there are {', '.join(MODES)}"
    entry = MODES.get(name)
    if entry is None:
        near = did_you_mean(name, list(MODES))
        return f"there is no mode {name[:60]!r}", near or known
    at = "{}.{}".format(*version)
    if entry.since and version < entry.since:
        came = "{}.{}".format(*entry.since)
        what = f"the mode {name} is not in Kubernetes {at} yet: it came with {came}"
        return what, f'take another mode, or kubernetes.version: "{came}"'
    if entry.removed and version >= entry.removed:
        (major, minor) = entry.removed
        what = f"the mode {name} is not in Kubernetes {at} any more: it went with {major}.{minor}"
        return what, f'take another mode, or kubernetes.version: "{major}.{minor - 1}"'
    return None
