"""iptables' tables in one namespace, through the tools of one back end, and how two texts of them are compared."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path

from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.proxy.rules import RuleSet
from tests.kernel.namespaces import Namespace

__all__ = ["Chains", "Tables", "parsed", "wanted"]

EMPTY = re.compile(":(?!KUBE-)")  # declares a built-in chain; those that have rules are seen by their rules
Chains = dict[str, dict[str, list[tuple[str, ...]]]]  # table -> chain -> what its rules say
PARTS = (r"(?:! )?-s \S+", r"-d \S+", r"-p \S+", r"--dport \S+", r"-j \S+", r"--to-destination \S+")


class Tables:
    """One namespace's tables, through the tools of one back end (legacy or nft) and IP family."""

    def __init__(self, node: Namespace, backend: str, folder: Path, family: str = "IPv4") -> None:
        self.node, self.lock = node, folder / "lock"
        self.tool = f"{'ip6' if family == 'IPv6' else 'ip'}tables-{backend}"

    def restore(self, lines: Iterable[str], *options: str) -> float:
        """Give the tool what kube-proxy would; how many seconds it took."""
        text = "\n".join(lines) + "\n"
        command = (f"{self.tool}-restore", "-w", "5", "--noflush", "--counters", *options)
        began = time.perf_counter()
        self.node.run(command, text, self.lock)
        return time.perf_counter() - began

    def counted(self) -> dict[tuple[str, str, int], int]:
        """How many packets each rule has matched: by table, chain and place."""
        found: dict[tuple[str, str, int], int] = {}
        places: dict[tuple[str, str], int] = {}
        for table in ("filter", "nat"):
            said = self.node.run((f"{self.tool}-save", "-c", "-t", table), lock=self.lock)
            for packets, chain in re.findall(r"^\[(\d+):\d+\] -A (\S+)", said, re.MULTILINE):
                place = places[table, chain] = places.get((table, chain), -1) + 1
                found[table, chain, place] = int(packets)
        return found

    def save(self) -> Chains:
        """Kube-proxy's own chains as they are in the kernel, and the jumps from the built-in ones."""
        lines: list[str] = []
        for table in ("filter", "nat"):
            said = self.node.run((f"{self.tool}-save", "-t", table), lock=self.lock)
            lines += [line for line in said.splitlines() if not EMPTY.match(line)]
        return parsed(lines)


def parsed(lines: Iterable[str]) -> Chains:
    """What iptables-save prints, or iptables-restore is given, without what each words in its own way."""
    found: Chains = {}
    for line in lines:
        if line.startswith("*"):
            chains = found.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains.setdefault(line[1:].split(" ")[0], [])
        elif line.startswith("-A"):
            bare = re.sub(r'--comment (?:"[^"]*"|\S+)', "", line)
            parts = tuple(m[0] if (m := re.search(p + r"(?= |$)", bare)) else "" for p in PARTS)
            chains.setdefault(line.split(" ")[1], []).append(parts)
    return found


def wanted(rules: RuleSet, lingering: dict[str, list[tuple[str, ...]]]) -> Chains:
    """What the kernel should have: the jumps, the rules, and chains that nothing leads to any more."""
    found = parsed(restore_lines(rules))
    for table, chains in parsed(jump_lines(rules)).items():
        found[table] |= {chain: jumps for chain, jumps in chains.items() if not chain.startswith("KUBE-")}
    found["nat"] |= lingering
    return found
