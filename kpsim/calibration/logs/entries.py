"""A line of a log becomes a message with its values: klog's text and JSON, plain or packed by whoever collected it.

Packings: docker's json-file, CRI, ``kubectl logs --prefix``, ``journalctl`` in its short and JSON forms, stern.  They
are not told apart: klog's own header is looked for, and what stands before it, without times, names the source.
Source of the forms: k8s.io/klog/v2 (header), staging/src/k8s.io/component-base/logs/json (keys ts, caller, msg, v;
durations as text).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_HEADER = re.compile(
    r"[IWEF](?P<month>\d\d)(?P<day>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d(?:\.\d{1,9})?)"
    r" +(?P<process>\d+) (?P<caller>[^\s\]]{1,200}:\d+)\] "
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_VALUE = re.compile(r'([A-Za-z_][\w.]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_TIMES = re.compile(r"\S*\d\d:\d\d:\d\d\S*|\b[A-Z][a-z]{2} +\d{1,2} |\bstd(?:out|err)\b|\b[FP] ")
_PACKED = ("log", "MESSAGE", "message")  # keys below which a collector keeps the line
_WHO = ("_HOSTNAME", "_PID")
LONGEST_PREFIX = 2000  # characters before klog's header
DEEPEST = 3  # packings within one another
_YEAR = 2000  # klog writes none; a leap year, so that every day exists


@dataclass(frozen=True, slots=True)
class Entry:
    """One message: its source (a Pod, a process), its time [s] on whatever clock, and its values by key."""

    source: str
    at_s: float
    caller: str
    message: str
    values: Mapping[str, object]


def entry_of(line: str, source: str = "", depth: int = 0) -> Entry | None:
    """Return the message of a line, or ``None`` where neither klog's header nor its JSON is found.

    >>> entry = entry_of('[pod/kube-proxy-x/kube-proxy] I0105 10:00:00.2 1 proxier.go:822] "Done" elapsed="93.2ms"')
    >>> entry.source, entry.message, entry.values["elapsed"]
    ('[pod/kube-proxy-x/kube-proxy] 1', 'Done', '93.2ms')
    """
    brace, header = line.find("{", 0, LONGEST_PREFIX), _HEADER.search(line, 0, LONGEST_PREFIX)
    if brace >= 0 and (header is None or brace < header.start()):
        found = _json(line[brace:])
        if found is not None:
            return _of_json(found, _source(source, line[:brace]), depth)
    return None if header is None else _of_text(header, line, source)


def _of_text(header: re.Match[str], line: str, source: str) -> Entry:
    rest = line[header.end() :].strip()
    quoted = _QUOTED.match(rest)
    values: dict[str, object] = {}
    if quoted:
        values = {key: text or bare for key, text, bare in _VALUE.findall(rest, quoted.end())}
    return Entry(
        _source(source, f"{line[: header.start()]} {header['process']}"),
        _seconds(header),
        header["caller"],
        quoted[1] if quoted else rest,
        values,
    )


def _of_json(found: Mapping[str, object], source: str, depth: int) -> Entry | None:
    message = found.get("msg")
    if isinstance(message, str) and "ts" in found:
        return Entry(source, _epoch(found["ts"]), str(found.get("caller", "")), message, found)
    packed = next((text for key in _PACKED if isinstance(text := found.get(key), str)), None)
    if packed is None or depth >= DEEPEST:
        return None
    kubernetes = found.get("kubernetes")
    names = [str(found[key]) for key in _WHO if key in found]
    if isinstance(kubernetes, dict):
        names.append(str(kubernetes.get("pod_name", "")))
    return entry_of(packed, " ".join([source, *names]).strip(), depth + 1)


def _json(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _source(*parts: str) -> str:
    """Return what stands before a message, without what changes from line to line."""
    return " ".join(_TIMES.sub("", " ".join(parts)).split())


def _seconds(header: re.Match[str]) -> float:
    month, day, hour, minute = (int(header[name]) for name in ("month", "day", "hour", "minute"))
    try:
        return datetime(_YEAR, month, day, hour, minute, tzinfo=UTC).timestamp() + float(header["second"])
    except ValueError:
        return 0.0


def _epoch(stamp: object) -> float:
    """Return klog's JSON time [s], which is in milliseconds, or in ISO 8601 if it is set so."""
    if isinstance(stamp, int | float):
        return float(stamp) / 1000
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return 0.0
