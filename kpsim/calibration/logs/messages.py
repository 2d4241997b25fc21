"""kube-proxy's messages about its syncs, by the words of every generation from 1.4 to 1.36.

Sources: pkg/proxy/{iptables,ipvs,nftables,winkernel}/proxier.go, pkg/proxy/servicechangetracker.go (service.go before
1.28), cmd/kube-proxy/app/server.go.  Up to 1.20 messages were formatted text, then words in quotes with values beside
them; ``ipFamily`` stands on a sync's lines since 1.31, ``fullSync`` since 1.33, counts since 1.24.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

from kpsim.calibration.logs.entries import Entry
from kpsim.calibration.readings import EARLIEST, LATEST
from kpsim.units import UnitError, Version, parse_duration

BEGUN = re.compile(r"[Ss]yncing (?:iptables|nftables|ipvs) (?:[Pp]roxier )?rules|Syncing Policies$")
WRITTEN = re.compile(r"Reloading service \w+ data")
ENDED = re.compile(r"[Ss]yncProxyRules complete|Syncing proxy rules complete|syncProxyRules took (?P<took>\S+)")
FAILED = re.compile(r"Sync failed|Failed to execute iptables-restore|[Nn]ftables sync failed|nft(?:ables)? .*failed")
STARTED = re.compile(
    r"Version info$|Version: v\d|Using \w+ [Pp]roxier|[Cc]reating dualStackProxier|\w+ sync params$", re.IGNORECASE
)
ADDED = re.compile(r'Adding new service port(?: "(?P<name>[^"]+)" at (?P<at>\S+))?')
REMOVED = re.compile(r'Removing service port(?: "(?P<name>[^"]+)")?')
_MODES = re.compile(
    r"(?:[Uu]sing|dualStackProxier for|[Ss]yncing|Reloading service)? ?\b(iptables|ipvs|nftables)\b"
    r"(?: [Pp]roxier| rules| data| sync params|$)",
    re.IGNORECASE,
)
_WINDOWS = re.compile(r"kernelspace|winkernel|Syncing Policies|\bhns\b", re.IGNORECASE)
_VERSION = re.compile(r"v?(\d+)\.(\d+)")

NS_A_SECOND = 10**9
MOST_NS = 1 << 63  # Go's longest duration
COUNTS_SINCE, FAMILY_SINCE, FULL_SINCE, WORDS_SINCE = (1, 24), (1, 31), (1, 33), (1, 20)
MOST_COUNTED = 1e8  # Services, endpoints or rules: more is damage
BURST_UNTIL, MAXIMUM_SINCE = (1, 33), (1, 34)  # burstSyncs and maxSyncPeriod in the settings at the start


def mode_in(entry: Entry) -> str:
    """Return the proxy mode that a message names, or that its file is of; "" for none."""
    found = _MODES.search(entry.message)
    if found:
        return found[1].lower()
    if _WINDOWS.search(entry.message) or entry.caller.startswith("winkernel/"):
        return "kernelspace"
    folder = entry.caller.partition("/proxier.go")[0].rpartition("/")[2]
    return folder if folder in ("iptables", "ipvs", "nftables") else ""


def version_in(entry: Entry) -> Version | None:
    """Return the release that the first line of a process names."""
    text = str(entry.values.get("version", "")) if entry.message == "Version info" else ""
    if entry.message.startswith("Version: "):
        text = entry.message.removeprefix("Version: ")
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2])) if found else None


def releases_of(entry: Entry) -> tuple[Version, Version]:
    """Return the first and the last release that write a message about syncs like this one."""
    since, until = EARLIEST, LATEST
    if ENDED.match(entry.message):
        formatted = "took" in entry.message
        since, until = (EARLIEST, WORDS_SINCE) if formatted else (WORDS_SINCE, LATEST)
    if WRITTEN.match(entry.message):
        since = COUNTS_SINCE
    if BEGUN.match(entry.message) or WRITTEN.match(entry.message):
        named = "ipFamily" in entry.values
        since, until = (max(since, FAMILY_SINCE), until) if named else (since, (FAMILY_SINCE[0], FAMILY_SINCE[1] - 1))
        if "fullSync" in entry.values:
            since = FULL_SINCE
        elif BEGUN.match(entry.message):
            until = min(until, (FULL_SINCE[0], FULL_SINCE[1] - 1))
    if "burstSyncs" in entry.values:
        until = BURST_UNTIL
    if "maxSyncPeriod" in entry.values:
        since = MAXIMUM_SINCE
    return since, until


def took_s(entry: Entry) -> float | None:
    """Return the duration in a sync's last line [s], or ``None`` where it is damaged.

    Go writes durations as text that ends in seconds ("1m2.5s", "93.2ms"): one that ends in "m" was cut off.  A whole
    number is Go's own count of nanoseconds, a fraction is zap's seconds.
    """
    formatted = ENDED.match(entry.message)
    written = entry.values.get("elapsed", formatted["took"] if formatted else None)
    if isinstance(written, float):
        found_s = written
    elif isinstance(written, int):
        found_s = written / NS_A_SECOND if 0 < written < MOST_NS else 0.0
    else:
        try:
            found_s = parse_duration(written) if str(written).endswith("s") else 0.0
        except UnitError:
            return None
    return found_s if isfinite(found_s) and found_s > 0 else None


def count_of(values: Mapping[str, object], key: str) -> float | None:
    """Return a count among the values of a message, or ``None`` where it has none."""
    try:
        found = float(str(values[key]))
    except (KeyError, ValueError):
        return None
    return found if 0 <= found <= MOST_COUNTED else None


def full_of(values: Mapping[str, object]) -> bool | None:
    """Return True or False where a sync's first line says that it is full or not."""
    return {"true": True, "false": False}.get(str(values.get("fullSync", "")).lower())
