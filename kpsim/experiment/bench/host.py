"""A host is described in a line: kernel, processor and tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_TOOLS = {"iptables-legacy": "--version", "nft": "--version", "ipvsadm": "--version"}


def kernel() -> str:
    """Return the kernel's release, ``6.18.44``."""
    return os.uname().release


def processor() -> str:
    """Return the processor's name, family and model, and how many cores there are."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    wanted = ("model name", "cpu family", "model")
    said = [
        m[0].replace("\t", "").replace(": ", " ")
        for k in wanted
        if (m := re.search(rf"^{k}\s*: .+$", text, re.MULTILINE))
    ]
    return f"{', '.join(said) or os.uname().machine}, {os.cpu_count()} cores"


def tools() -> Iterator[str]:
    """Yield the versions of the tools that load rules, where they are installed."""
    for tool, option in _TOOLS.items():
        if path := shutil.which(tool):
            said = subprocess.run((path, option), capture_output=True, text=True, check=False).stdout  # noqa: S603 - named here
            if number := re.search(r"\d+(\.\d+)+", said):
                yield f"{tool.removesuffix('-legacy')} {number[0]}"
