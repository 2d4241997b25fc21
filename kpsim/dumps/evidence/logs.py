"""A kube-proxy's log names its mode: in a line at its start, and in the lines of its syncs after it."""

from __future__ import annotations

import re

_STARTED = re.compile(
    r"(?:using|creating dualStackProxier for) (iptables|ipvs|nftables|userspace|kernelspace|winkernel)(?:\W|$)",
    re.IGNORECASE,
)
_FLAG = re.compile(r'FLAG: --proxy-mode="?(\w+)')
_SYNCS = {
    "iptables": r"[Ss]yncing iptables rules|Reloading service iptables data|[Ii]ptables sync params",
    "nftables": r"[Ss]yncing nftables rules|Reloading service nftables data|NFTables sync params",
    "ipvs": r"[Ss]yncing ipvs [Pp]roxier rules|ipvs sync params|IPVS scheduler not specified|ipvs/proxier\.go",
    "kernelspace": r"winkernel/proxier\.go|Hns Endpoint resource|[Ss]yncing Policies",
    "userspace": r"userspace/(?:proxier|proxysocket)\.go",
}
_NAMES = {"winkernel": "kernelspace"}
_VERSION = re.compile(r'Version info" version="(v[\d.]+[^"]*)"|^.*\bVersion: (v\d+\.\d+\.\d+\S*)', re.MULTILINE)


def mode_of_log(text: str) -> tuple[str, str]:
    """Return the mode that a log names and the words it does so with; ("", "") where it names none.

    The last start counts; where none is in the log, the flags it was started with, then its syncs.  Every start since
    1.2 says ``Using iptables Proxier`` or its kin.
    """
    starts = list(_STARTED.finditer(text))
    if starts:
        mode = starts[-1][1].lower()
        return _NAMES.get(mode, mode), starts[-1][0].strip('".,: \n')
    flag = _FLAG.search(text)
    if flag and flag[1] in {*_SYNCS, *_NAMES}:
        return _NAMES.get(flag[1], flag[1]), flag[0]
    last = {mode: found for mode, pattern in _SYNCS.items() for found in re.finditer(pattern, text)}
    if not last:
        return "", ""
    mode = max(last, key=lambda name: last[name].start())
    return mode, last[mode][0]


def version_of_log(text: str) -> str:
    """Return the release that a log's last start names, as ``v1.34.1``; "" where it names none."""
    found = _VERSION.findall(text)
    return next(filter(None, found[-1])) if found else ""
