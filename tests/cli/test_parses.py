"""A command parses each file that it is given once, however many questions it has about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from kpsim import documents
from kpsim.dumps import detection
from kpsim.dumps.detection import RuleDump, read_dump
from kpsim.scenario import kinds
from tests.cli.shell import SMALL, Shell

SEP, SVC = "AAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBB"
NAT = f"""\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-{SVC} - [0:0]
:KUBE-SEP-{SEP} - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.7/32 -p tcp -m comment --comment "prod/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-{SVC}
-A KUBE-SVC-{SVC} -m comment --comment "prod/web -> 10.1.0.5:8080" -j KUBE-SEP-{SEP}
-A KUBE-SEP-{SEP} -p tcp -m comment --comment "prod/web" -m tcp -j DNAT --to-destination 10.1.0.5:8080
COMMIT
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Running, podIP: 10.244.0.9, conditions: [{type: Ready, status: "True"}]}
"""


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was parsed since."""
    seen: Counter[str] = Counter()

    def loaded(text: str, file: str, early: Callable[[object], object]) -> object:
        seen[file] += 1
        return documents.load(text, file, early)

    def dumped(text: str, file: str, node: str = "") -> RuleDump:
        seen[file] += 1
        return read_dump(text, file, node)

    monkeypatch.setattr(kinds, "load", loaded)
    monkeypatch.setattr(detection, "read_dump", dumped)
    return seen


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (["run", "s.yaml", "--jobs", "1"], ["s.yaml"]),
        (["run", "s.yaml", "nat.txt", "--jobs", "1", "--set", "run.duration=2s", "--set", "run.warmup=1s"],
         ["s.yaml", "nat.txt"]),
        (["check", "s.yaml"], ["s.yaml"]),
        (["check", "sweep.yaml"], ["sweep.yaml", "web.yaml"]),
        (["compare", "s.yaml", "--jobs", "1"], ["s.yaml"]),
        (["sweep", "sweep.yaml", "--jobs", "1"], ["sweep.yaml", "web.yaml"]),
        (["run", "sweep.yaml", "--jobs", "1"], ["sweep.yaml", "web.yaml"]),
        (["explain", "service", "web-0", "-f", "s.yaml"], ["s.yaml"]),
        (["explain", "dns", "web-0", "-f", "s.yaml"], ["s.yaml"]),
        (["explain", "packet", "--to", "prod/web:80", "-f", "nat.txt"], ["nat.txt"]),
        (["explain", "packet", "--to", "prod/web:80", "-f", "nat.txt", "--mode", "iptables"], ["nat.txt"]),
        (["explain", "packet", "--to", "prod/web:80", "-f", "nat.txt", "--mode", "ipvs"], ["nat.txt"]),
        (["rules", "s.yaml"], ["s.yaml"]),
        (["metrics", "s.yaml"], ["s.yaml"]),
        (["import", "nat.txt", "web.yaml"], ["nat.txt", "web.yaml"]),
    ],
    ids=lambda part: " ".join(part[:2]),
)  # fmt: skip
def test_a_command_parses_each_of_its_files_once(
    kpsim: Shell, parses: Counter[str], command: list[str], files: list[str]
) -> None:
    kpsim.write("s.yaml", SMALL)
    kpsim.write("nat.txt", NAT)
    kpsim.write("web.yaml", SERVICE)
    sweep = SMALL.replace("kind: Scenario", "kind: Sweep") + 'sweep: {services.web.count: "1,2,3,4,5"}\n'
    kpsim.write("sweep.yaml", sweep.replace("spec:\n", "spec:\n  importFrom: [web.yaml]\n"))
    assert kpsim(*command).code == 0
    assert parses == Counter(files)


def test_files_that_show_one_cluster_are_one_question_and_scenarios_are_one_each(kpsim: Shell) -> None:
    kpsim.small()
    files = kpsim.write("web.yaml", SERVICE), kpsim.write("api.yaml", SERVICE.replace("name: web", "name: api"))
    assert kpsim("check", *files, "-o", "json").json["services"] == 2
    assert [at["services"] for at in kpsim("check", *files, "small.yaml", "-o", "json").json] == [2, 2]
    pod = kpsim.write("pod.yaml", POD)
    assert "10.244.0.9:80" in kpsim("explain", "service", "web", "-f", files[0], "-f", pod).out
    wrong = kpsim.write("wrong.yaml", SMALL.replace("nodes: 2", "nodes: two"))
    refused = kpsim("check", "small.yaml", wrong, "gone.yaml")
    assert (refused.code, refused.out) == (3, "")
    assert "'two' is not a number" in refused.err
    assert "gone.yaml: there is no such file" in refused.err
