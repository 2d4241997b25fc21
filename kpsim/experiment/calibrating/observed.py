"""Files become readings of one kube-proxy mode: logs, as many as there are, or exactly two scrapes of metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kpsim.calibration.logs import read_log, read_text
from kpsim.calibration.logs.entries import entry_of
from kpsim.calibration.readings import LATEST, Observed
from kpsim.calibration.scrapes import between, read_scrape
from kpsim.dumps.evidence.logs import mode_of_log
from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.proxy.params import LATEST as USUAL
from kpsim.proxy.registry import MODES
from kpsim.units import Version

_METRICS = re.compile(r"\A\s*(?:# (?:HELP|TYPE) |[a-z_:][\w:]*(?:\{[^\n]*\})? +[-+.\dNI])")
_AMONG = re.compile(r"^(?:# (?:HELP|TYPE) \w|kubeproxy_\w+[ {])", re.MULTILINE)
_LOOKED_AT = 4096  # characters in which a scrape begins, whatever a client printed before it
_BACKENDS = {"iptables": "iptables-legacy", "iptables-legacy": "iptables-legacy", "iptables-nft": "iptables-nft"}


@dataclass(frozen=True, slots=True)
class Hints:
    """The user's own words about a cluster, where its records do not say it."""

    mode: str = ""
    version: Version | None = None
    services: int | None = None
    endpoints: int | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The mode and release that readings are of, by what each was taken, and the family of costs of the mode."""

    family: str
    version: Version
    said: tuple[str, ...]


def observe(paths: Sequence[Path], hints: Hints) -> list[Observed]:
    """Return the readings of all files.  Raises :class:`InputError`."""
    texts = [(str(path), read_text(path)) for path in paths]
    metrics = [_is_scrape(text) for _, text in texts]
    if all(metrics):
        if len(texts) != 2:
            what = "two scrapes of the same kube-proxy are needed, the counts between them are what is fitted"
            mend = (
                "scrape again after some changes and give both files"
                if len(texts) < 2
                else "give the first and the last"
            )
            raise InputError([Problem(Place(texts[-1][0], 1, 1), what=what, mend=mend)])
        return [between(*(read_scrape(text, file) for file, text in texts))]
    for (file, text), other in zip(texts, metrics, strict=True):
        if any(metrics) and not other:
            read_log(text, file)  # what is neither is said first
    for (file, _), other in zip(texts, metrics, strict=True):
        if other:
            what, mend = "metrics beside a log", "give logs, or two scrapes of metrics"
            raise InputError([Problem(Place(file, 1, 1), what=what, mend=mend)])
    found = []
    for file, text in texts:
        log = read_log(text, file)
        found.append(log if log.mode or hints.mode else replace(log, mode=mode_of_log(text)[0]))
    if hints.version is None:
        _of_one_release(found)
    return found


def _is_scrape(text: str) -> bool:
    """Return True if a text is metrics, maybe behind what a client printed of the answer."""
    if _METRICS.match(text):
        return True
    began = _AMONG.search(text[:_LOOKED_AT])
    return began is not None and not any(entry_of(line) for line in text[: began.start()].splitlines())


def _of_one_release(found: Sequence[Observed]) -> None:
    """Refuse logs that no one release wrote: which of their costs is meant, nothing says."""
    for each in found[1:]:
        first = found[0]
        named = first.version is not None and each.version is not None and first.version != each.version
        if named or max(first.since, each.since) > min(first.until, each.until):
            what = f"its kube-proxy is of another release than that of {first.file}"
            mend = "give logs of one release at a time, or say --version"
            raise InputError([Problem(Place(each.file, 1, 1), what=what, mend=mend)])


def cluster_of(found: Sequence[Observed], hints: Hints) -> Cluster:
    """Return the mode and release of readings.  Raises :class:`InputError` where nothing names the mode."""
    said = []
    file = found[0].file.partition(" and ")[0]
    modes = sorted({each.mode for each in found if each.mode})
    family = _BACKENDS.get(hints.mode or (modes[0] if modes else ""), hints.mode or (modes[0] if modes else ""))
    if hints.mode and family not in {*MODES, *_BACKENDS.values()}:
        mend = did_you_mean(hints.mode, [*MODES, "iptables-nft"], f"one of {', '.join(MODES)}, iptables-nft")
        raise InputError([Problem(Place(), key="--mode", what=f"there is no mode {hints.mode}", mend=mend)])
    if not hints.mode and len(modes) != 1:
        what = f"kube-proxies of modes {' and '.join(modes)}" if modes else "nothing in it names kube-proxy's mode"
        raise InputError([Problem(Place(file, 1, 1), what=what, mend="say --mode iptables, ipvs or nftables")])
    by = "by --mode" if hints.mode else f"as the {found[0].kind} {'shows' if found[0].kind == 'log' else 'show'}"
    back_end = "; its back end is not said and taken for legacy (--mode iptables-nft is the other)"
    said.append(
        f"mode {family.partition('-')[0]}, {by}" + (back_end if family == "iptables-legacy" and not hints.mode else "")
    )
    version, by = _version(found, hints)
    said.append(f"Kubernetes {version[0]}.{version[1]}, {by}")
    return Cluster(family, version, tuple(said))


def _version(found: Sequence[Observed], hints: Hints) -> tuple[Version, str]:
    if hints.version:
        return hints.version, "by --version"
    named = [each.version for each in found if each.version]
    if named:
        return named[-1], "named there"
    since, until = max(each.since for each in found), min(each.until for each in found)
    taken = max(min(USUAL, until), since)
    ends = f"{since[0]}.{since[1]} or later" if until == LATEST else f"{since[0]}.{since[1]} to {until[0]}.{until[1]}"
    ends = f"{until[0]}.{until[1]} or earlier" if since == (0, 0) else ends
    return taken, f"taken: its forms are those of {ends}; --version says better"
