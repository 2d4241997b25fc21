"""A sequence of syncs as the oracle words it: who comes, who goes, how many endpoints, and what is special."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kpsim.proxy.node import EndpointInfo, PortInfo, PortState


@dataclass
class Cast:
    """ClusterIP Services called svc1, svc2, … with one port each; endpoints are told apart by a running number."""

    endpoints: dict[str, list[int]] = field(default_factory=dict)
    parked: dict[str, list[int]] = field(default_factory=dict)
    born: int = 0
    now_s: float = 0.0

    def states(self) -> list[PortState]:
        found = []
        for name, numbers in self.endpoints.items():
            k = int(name.removeprefix("svc"))
            info = PortInfo(f"ns{k}", name, "p80", "TCP", f"172.30.0.{40 + k}", 80)
            addresses = [EndpointInfo(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 80) for n in numbers]
            found.append(PortState(info, tuple(sorted(addresses, key=lambda e: e.address)), k))
        return found

    def act(self, words: str) -> set[str]:
        """Do what a step says; the Services that changed, as ``namespace/name``."""
        before = {name: list(numbers) for name, numbers in self.endpoints.items()}
        self._act(words)
        names = before.keys() | self.endpoints.keys()
        changed = {name for name in names if before.get(name) != self.endpoints.get(name)}
        self.now_s += 31 if re.search(r"syncPeriod has passed|have aged", words) else 0.1
        return {f"ns{name.removeprefix('svc')}/{name}" for name in changed}

    def _act(self, words: str) -> None:
        for name, count in re.findall(r"(svc\d+)\((\d+)\)", words):
            self._set(name, int(count))
        if re.search(r"first sync", words) and "(" not in words.rsplit(":", maxsplit=1)[-1]:
            for name in re.findall(r"svc\d+", words):
                self._set(name, 1)
        for name in re.findall(r"add (svc\d+)", words):
            self._set(name, 0 if re.search(r"no endpoint|without endpoint", words) else 1)
        for name in re.findall(r"delete (svc\d+)", words) + re.findall(r"(svc\d+) removed", words):
            self.endpoints.pop(name, None)
        for name, count in re.findall(r"(svc\d+) gets (\d+) endpoint", words):
            self._set(name, len(self.endpoints.get(name, [])) + int(count))
        for name in re.findall(r"(svc\d+) endpoint \S+ appears|(svc\d+) gains", words):
            self._set(one := name[0] or name[1], len(self.endpoints[one]) + 1)
        for name in re.findall(r"(svc\d+) endpoint replaced", words):
            count = len(self.endpoints[name])
            self.endpoints[name] = []
            self._set(name, count)
        for name in re.findall(r"(svc\d+) endpoints removed", words):
            self.parked[name], self.endpoints[name] = self.endpoints[name], []
        for name in re.findall(r"(svc\d+) endpoints restored", words):
            self.endpoints[name] = self.parked.pop(name)

    def _set(self, name: str, count: int) -> None:
        numbers = self.endpoints.setdefault(name, [])
        while len(numbers) < count:
            self.born += 1
            numbers.append(self.born)
