"""Whatever the bytes, reading ends in a Scenario or an InputError."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpsim.errors import InputError
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read, read_sweep
from kpsim.scenario.resolved import write_resolved

ROOT = Path(__file__).parents[2]
SEEDS = [
    path.read_bytes() for path in sorted([*(ROOT / "scenarios").glob("*.yaml"), *(ROOT / "tests/invalid").glob("*")])
]
PIECES = [
    b":",
    b"-",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\n",
    b"  ",
    b"\t",
    b"&a",
    b"*a",
    b"!x",
    b"|",
    b">",
    b"'",
    b'"',
    b"?",
    b"%",
    b"\x00",
    b"\xff",
    b"null",
    b"1e999",
    b"-1",
    b"010",
    b"yes",
    b"<<: ",
    b"---\n",
    b"{{",
    b"9" * 5000,
    b"spec:",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b".inf",
    b".nan",
    b"0x",
    b"kind: Service",
]

quiet = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(reading: Callable[[], object]) -> object:
    """What a reading gives, or the error that is its answer; anything else it raises is a failure."""
    try:
        return reading()
    except InputError as error:
        return error


def reads_or_refuses(folder: Path, raw: bytes, name: str = "it.yaml") -> None:
    path = folder / name
    path.write_bytes(raw)
    result = outcome(partial(read, path))
    if isinstance(result, InputError):
        assert str(result).strip()
        assert str(result).encode()
    else:
        assert isinstance(result, Scenario)
        write_resolved(result)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 10, 100]))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)))
        raw = raw[:at] + piece + raw[at + cut :]
    return raw


@quiet
@given(raw=mutated())
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    reads_or_refuses(tmp_path, raw)


@quiet
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    reads_or_refuses(tmp_path, raw)


@quiet
@given(raw=st.binary(max_size=60))
def test_damaged_gzip_is_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    reads_or_refuses(tmp_path, gzip.compress(SEEDS[0])[:-20] + raw)


WORDS = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "spec",
    "ports",
    "port",
    "targetPort",
    "nodePort",
    "clusterIP",
    "type",
    "items",
    "selector",
    "endpoints",
    "addresses",
    "conditions",
    "services",
    "count",
    "cluster",
    "kubeProxy",
    "mode",
    "iptables",
    "minSyncPeriod",
    "thresholds",
    "sync_duration",
    "run",
    "duration",
    "sweep",
    "v1",
    "Service",
    "List",
    "EndpointSlice",
    "Endpoints",
    "Pod",
    "Node",
    "Deployment",
    "KubeProxyConfiguration",
    "Scenario",
    "Sweep",
    "kpsim/v1alpha1",
    "NodePort",
    "subsets",
    "status",
    "objects",
    "importFrom",
    "template",
    "ownerReferences",
    "modes",
    "compare",
]
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inside, max_size=5),
    max_leaves=25,
)


@quiet
@given(value=values)
def test_any_json_is_read_or_refused(tmp_path: Path, value: object) -> None:
    reads_or_refuses(tmp_path, json.dumps(value).encode(), "it.json")


@quiet
@given(
    kind=st.sampled_from(
        [
            "Service",
            "Pod",
            "Node",
            "EndpointSlice",
            "Endpoints",
            "Deployment",
            "List",
            "ServiceList",
            "KubeProxyConfiguration",
            "ConfigMap",
        ]
    ),
    parts=st.dictionaries(
        st.sampled_from(["metadata", "spec", "status", "items", "endpoints", "subsets", "ports", "mode"]),
        values,
        max_size=4,
    ),
)
def test_any_object_is_read_or_refused(tmp_path: Path, kind: str, parts: dict[str, object]) -> None:
    reads_or_refuses(tmp_path, json.dumps({"apiVersion": "v1", "kind": kind, **parts}).encode(), "it.json")


@quiet
@given(
    spec=st.dictionaries(
        st.sampled_from(
            [
                "cluster",
                "services",
                "objects",
                "kubeProxy",
                "compare",
                "run",
                "thresholds",
                "changes",
                "profile",
                "kubernetes",
                "importFrom",
                "traffic",
            ]
        ),
        values,
    )
)
def test_any_scenario_is_read_or_refused(tmp_path: Path, spec: dict[str, object]) -> None:
    document = {"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}
    reads_or_refuses(tmp_path, json.dumps(document).encode(), "it.json")


@quiet
@given(
    path=st.lists(
        st.sampled_from([*(word for word in WORDS if word != "importFrom"), "0", "", "small", "99"]), max_size=4
    ).map(".".join),
    value=st.one_of(st.text(max_size=8), st.sampled_from(["1..9:log:3", "a,b", "[", "{a: b}", "010", "-1", "10k"])),
)
def test_a_wrong_override_is_refused_by_name(path: str, value: str) -> None:
    for name in ("10k-services.yaml", "iptables-cliff.yaml"):
        file = ROOT / "scenarios" / name
        for result in (
            outcome(partial(read, file, [(path, value)])),
            outcome(partial(read_sweep, file, [(path, value)])),
        ):
            assert not isinstance(result, InputError) or "--set" in str(result)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", '{"a":', "? "])
def test_depth_is_refused_not_met(tmp_path: Path, opening: str) -> None:
    for depth in (300, 3000, 300_000):
        reads_or_refuses(tmp_path, (opening * depth).encode())
        reads_or_refuses(tmp_path, (opening * depth + "1" + "]" * depth).encode())
        reads_or_refuses(tmp_path, (opening * depth + "1" + "}" * depth).encode())


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 60)]
    reads_or_refuses(tmp_path, "\n".join([*lines, "kind: List", "items: *a59"]).encode())
