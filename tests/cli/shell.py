"""``kpsim`` as a user at a prompt has it: a directory, a command, two streams and an exit code; in this process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kpsim.cli import main

SMALL = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  cluster: {nodes: 2, cores: 2}
  services:
    - {name: web, count: 2, endpoints: 2}
  traffic: {connectionsPerSecondPerNode: 20, packetsPerConnection: 2}
  run: {duration: 5s, warmup: 1s, seed: 1, replications: 2, engine: reference, packets: 2k}
"""

SERVICES = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: door}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  type: LoadBalancer
  selector: {app: web}
  loadBalancerSourceRanges: [198.51.100.0/24]
  ports: [{port: 443, targetPort: 8443}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.7}]}}
---
apiVersion: v1
kind: Service
metadata: {name: each}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {type: ExternalName, externalName: db.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: lost}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: server, ports: [{containerPort: 8080}]}]}
"""


@dataclass(frozen=True)
class Answer:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


class Shell:
    """Runs commands in ``here`` and catches what they say."""

    def __init__(self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.here, self._monkeypatch, self._capsys = here, monkeypatch, capsys

    def __call__(self, *args: str) -> Answer:
        self._monkeypatch.setattr(sys, "argv", ["kpsim", *args])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main()
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(int(done.value.code or 0), out, err)

    def write(self, name: str, text: str) -> str:
        """A file in the directory, by its name."""
        (self.here / name).write_text(text, encoding="utf-8")
        return name

    def small(self, old: str = "", new: str = "", name: str = "small.yaml") -> str:
        """A small scenario with one thing changed."""
        assert old in SMALL
        return self.write(name, SMALL.replace(old, new, 1))

    def left(self) -> list[str]:
        """Everything that lies in the directory, however deep."""
        return sorted(str(path.relative_to(self.here)) for path in self.here.rglob("*"))
