"""A host is described in a line: kernel, processor and tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TOOLS = {"iptables-legacy": "--version", "nft": "--version", "ipvsadm": "--version"}


def kernel() -> str:
    """Return the kernel's release, ``6.18.44``."""
    return os.uname().release


def processor() -> str:
    """Return the processor's name, family and model, and how many cores there are."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    said = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", text, re.MULTILINE))
    parts = (
        said.get("model name", os.uname().machine),
        *(f"{k} {said[k]}" for k in ("cpu family", "model") if k in said),
    )
    return f"{', '.join(parts)}, {os.cpu_count()} cores"


def tools() -> Iterator[str]:
    """Yield the versions of the tools that load rules, where they are installed."""
    for tool, option in _TOOLS.items():
        if path := shutil.which(tool):
            said = subprocess.run((path, option), capture_output=True, text=True, check=False).stdout  # noqa: S603 - named here
            if number := re.search(r"\d+(\.\d+)+", said):
                yield f"{tool.removesuffix('-legacy')} {number[0]}"


def machine() -> dict[str, Any]:
    """Return what a profile says of the machine it was measured on; its costs are taken to hold for that release."""
    release = ".".join(kernel().split(".")[:2])
    return {"kernel": kernel(), "cpu": processor(), "kernels": [release, release]}
