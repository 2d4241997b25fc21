"""What dumps are read by quickly says the same as what it stands for, or leaves the reading to it."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.documents import Document, Source, json_text, load
from kpsim.documents.nodes import Builder
from kpsim.documents.pieces import LOADER
from kpsim.documents.regular import read_regular
from kpsim.errors import Place
from kpsim.kube import decode, validation
from kpsim.kube.fields import Fields
from kpsim.kube.reader import Reading, kept_of
from kpsim.kube.server import ApiServer
from kpsim.kube.server.shapes import ANYTHING, SHAPES, Of, Shape, _is, endpoint_fits, fits
from kpsim.kube.service.decode import service_of

TEXTS = [
    "", "web", "80", "1.0", "true", "no", "null", "~", "010", "1:30", "a: b", "a #b", "a:b", "-", "- a", "--flag=1",
    "x" * 90, "{}", "[]", "'", '"', "a\nb", "a\nb\n", " a", "a ", "\\", "%a", "&a", "*a", "!a", "|", "é", "\t", "...",
    "---", "<<", "=", ".inf", "0x1f", "2026-01-02T03:04:05Z", "it's", 'say "a"', "a  b", "a\n  b\nc", "0b" * 3, "1_000",
]  # fmt: skip
SIGNS = [*": -#'\"{}[]&*!|>%@`,?~=<\t\n\\é", "  ", "- ", ": ", " #", "0", "|-", ">-", "''", "---\n", "k: v\n", "null"]
SCALARS = st.sampled_from(TEXTS) | st.integers(-9, 70000) | st.booleans() | st.none() | st.floats(-9, 9)
KEYS = st.sampled_from(["a", "name", "f:spec", "a.b/c-d", "80", "true", "a b", "", "k:{}", "~", "'", "x" * 300])
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def composed(text: str) -> tuple[object, bool]:
    builder = Builder(Source("it.yaml", text))
    try:
        node: Any = yaml.compose(text, Loader=LOADER)
        made = builder.build(node)
    except yaml.YAMLError:
        return None, False
    return made, not builder.problems


@settings(max_examples=200)
@given(st.lists(DATA, min_size=1, max_size=3), st.integers(0, 5), st.randoms(use_true_random=False), st.booleans())
def test_regular_yaml_is_what_the_composer_reads(
    data: list[object], damage: int, chance: random.Random, indented: bool
) -> None:
    text = yaml.dump(data, default_flow_style=False, width=chance.choice([40, 1000]), allow_unicode=True)
    if indented:
        text = "".join(f"  {line}\n" for line in text.splitlines())
    for _ in range(damage // 2):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(SIGNS) + text[at + chance.randrange(2) :]
    found = read_regular(text, {})
    if found is not None:
        made, right = composed(text)
        assert right, text
        assert json.dumps(found) == json.dumps(made), text


def test_regular_yaml_is_read_quickly() -> None:
    text = """- apiVersion: v1
  metadata:
    annotations:
      said: |
        {"kind": "Service"}
          indented: more
      other: |-
        # no comment
    labels: {}
    name: web
  spec:
    args:
    - --flag=a:b
    - "80"
    - 'it''s'
    - - 1
      - two: ~x
    ports:
      - port: 80
        name:
    last:
"""
    text = text.replace("~x", "x")
    found = read_regular(text, {})
    assert found is not None
    assert found == composed(text)[0]


SERVICE: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"a/b": "c"}},
    "spec": {
        "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "type": "NodePort", "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web", "nodePort": 30080}],
        "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster", "externalIPs": ["192.0.2.1"],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9", "ipMode": "Proxy"}]}},
}  # fmt: skip
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
    "metadata": {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
    "endpoints": [
        {
            "addresses": ["10.128.0.9"], "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "node-1", "zone": "a", "hostname": "web-0", "hints": {"forZones": [{"name": "a"}]},
            "targetRef": {"kind": "Pod", "name": "web-0", "namespace": "shop"},
        }
    ],
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
}  # fmt: skip
NODE: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "a"}},
    "spec": {"podCIDR": "10.128.0.0/24", "taints": [{"key": "a", "effect": "NoSchedule"}]},
    "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "InternalIP", "address": "192.0.2.3"}]},
}  # fmt: skip
POD: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {"nodeName": "node-1", "containers": [{"command": ["kube-proxy"], "ports": [{"containerPort": 80}]}]},
    "status": {"phase": "Running", "podIP": "10.128.0.9", "podIPs": [{"ip": "10.128.0.9"}]},
}  # fmt: skip
INSTEAD = [
    None, "", "web", "Web", "10.96.0.7", "10.96.0.8", "010.96.0.9", "::1", "127.0.0.1", "None", "x" * 70, "kube-system",
    0, 1, -1, 80, 30080, 1 << 40, 1.5, True, False, [], {}, ["a"], [None], [1], {"a": 1}, {"ip": "192.0.2.1"}, "Local",
    "ClientIP", "ExternalName", "LoadBalancer", "NodePort", "ClusterIP", "UDP", "IPv6", "PreferDualStack",
]  # fmt: skip


def damaged(made: dict[str, Any], chance: random.Random, times: int) -> dict[str, Any]:
    """A copy in which values here and there are others, gone, or new."""
    made = copy.deepcopy(made)
    for _ in range(times):
        part: Any = made
        while isinstance(part, dict | list) and part:
            key = chance.choice(list(part)) if isinstance(part, dict) else chance.randrange(len(part))
            if not isinstance(part[key], dict | list) or not part[key] or chance.random() < 0.15:
                break
            part = part[key]
        if not part:
            continue
        if chance.random() < 0.2:
            del part[key]
        elif isinstance(part, dict) and chance.random() < 0.2:
            part[chance.choice(["new", "topology", "nodePort", "hostname", "appProtocol"])] = copy.deepcopy(
                chance.choice(INSTEAD)
            )
        else:
            part[key] = copy.deepcopy(chance.choice(INSTEAD))
    return made


def walked(value: object, shape: Shape) -> bool:
    """Whether a value fits a shape, by a walk over both that knows nothing of quickness."""
    if isinstance(shape, str):
        return value is not None and (shape == ANYTHING or _is(value, shape))
    if isinstance(shape, Of):
        if shape.kind == "[]":
            return isinstance(value, list) and all(walked(item, shape.shape) for item in value)
        return isinstance(value, dict) and all(walked(item, shape.shape) for item in value.values())
    return isinstance(value, dict) and all(name in shape and walked(value[name], shape[name]) for name in value)


@pytest.mark.parametrize("whole", [SERVICE, SLICE, NODE], ids=lambda made: made["kind"])
@settings(max_examples=150)
@given(chance=st.randoms(use_true_random=False), times=st.integers(0, 3))
def test_shapes_fit_where_a_walk_says_so(whole: dict[str, Any], chance: random.Random, times: int) -> None:
    made = damaged(whole, chance, times)
    assert fits(made, whole["kind"]) == walked(made, SHAPES[whole["kind"]])


@settings(max_examples=150)
@given(chance=st.randoms(use_true_random=False), times=st.integers(0, 3))
def test_ordinary_endpoints_are_those_of_a_look_at_each_field(chance: random.Random, times: int) -> None:
    written = damaged(SLICE["endpoints"][0], chance, times)
    if endpoint_fits(written) and "addresses" in written:
        faults = Fields(written, (), [])
        made = [decode._ordinary(written, ip, "shop") for ip in written["addresses"][:1]]
        assert made == decode._endpoints(faults, "shop")
        assert not faults.faults


@settings(max_examples=150)
@given(chance=st.randoms(use_true_random=False), times=st.integers(0, 3))
def test_ordinary_services_are_those_of_a_look_at_each_field(chance: random.Random, times: int) -> None:
    written = damaged(SERVICE, chance, times)
    if fits(written, "Service"):
        slow, quick = Fields(written, (), []), Fields(written, (), [])
        assert service_of(slow, Place(), fits=False) == service_of(quick, Place(), fits=True)
        assert slow.faults == quick.faults


@pytest.mark.parametrize("part", [("spec",), ("metadata",), ("status",), *(("spec", each) for each in SERVICE["spec"])])
def test_null_is_the_same_as_leaving_out(part: tuple[str, ...]) -> None:
    empty, without = copy.deepcopy(SERVICE), copy.deepcopy(SERVICE)
    for made in (empty, without):
        *above, last = part
        for name in above:
            made = made[name]  # noqa: PLW2901 - down to the part
        made[last] = None
    (without[part[0]] if len(part) > 1 else without).pop(part[-1])
    readings = Reading(), Reading()
    for made, reading in zip((empty, without), readings, strict=True):
        reading.add(Document(Source("it.json", ""), made), (), made)
    assert [reading.services for reading in readings] == [readings[0].services] * 2
    api = ApiServer("10.96.0.0/16", (30000, 32767))
    assert readings[0].check(api) == readings[1].check(api)


@pytest.mark.parametrize("whole", [SERVICE, SLICE, NODE, POD], ids=lambda made: made["kind"])
@settings(max_examples=100)
@given(chance=st.randoms(use_true_random=False), times=st.integers(0, 3))
def test_what_is_kept_of_an_object_is_what_is_read_of_it(
    whole: dict[str, Any], chance: random.Random, times: int
) -> None:
    made = damaged(whole, chance, times)
    before = copy.deepcopy(made)
    readings = Reading(), Reading()
    for item, reading in zip((made, kept_of(made)), readings, strict=True):
        data = {"apiVersion": "v1", "kind": "List", "items": [item]}
        reading.add(Document(Source("it.json", ""), data), (), data)
    assert made == before
    plain, quick = readings
    assert plain.problems == quick.problems
    assert (plain.slices, plain.nodes, plain.pods) == (quick.slices, quick.nodes, quick.pods)
    assert (plain.commands, plain.ignored) == (quick.commands, quick.ignored)


@settings(max_examples=60)
@given(chance=st.randoms(use_true_random=False), version=st.sampled_from([(1, 23), (1, 34), (1, 36)]))
def test_services_alike_are_judged_alike(chance: random.Random, version: tuple[int, int]) -> None:
    kinds = [damaged(SERVICE, chance, chance.randrange(4)) for _ in range(3)]
    found = []
    for number in range(9):
        made = copy.deepcopy(chance.choice(kinds))
        spec, metadata = made.get("spec"), made.get("metadata")
        if isinstance(spec, dict) and spec.get("clusterIPs") == [spec.get("clusterIP")] and chance.random() < 0.8:
            spec["clusterIP"] = chance.choice([f"10.96.0.{number}", "10.96.0.1", "10.200.0.1", "010.96.0.9", "fd00::1"])
            spec["clusterIPs"] = [spec["clusterIP"]]
        if isinstance(metadata, dict) and chance.random() < 0.8:
            metadata["name"] = chance.choice([f"web-{number}", "web", "Web", "1web"])
        found.append(made)
    reading = Reading()
    data = {"apiVersion": "v1", "kind": "List", "items": found}
    reading.add(Document(Source("it.json", ""), data), (), data)
    api = ApiServer("10.96.0.0/16", (30000, 32767), version=version)
    quick = reading.check(api)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "_all_but_names", lambda _made: "")
        assert reading.check(api) == quick


JSON_TEXTS = [
    '{"kind": "List", "items": [{"a": 1}, [], 2], "b": {"items": [1]}}', '{"items": []}', ' {"items" : [1 , 2 ] } ',
    '{"items": [1,]}', '{"items": [1 2]}', '{"items": [1], "items": [2]}', '{"items": [{"a": 1, "a": 2}]}', '{"a": 1,}',
    '{"items": [1]', '{"items": [NaN]}', '{"items": {"a": []}}', "[1, 2]", '{"a" 1}', '{"items": ["\\ud800"]}', "{}",
    '{"items": [1]} {"items": [2]}', '{"items": [1]} x', "{'items': [1]}", '{"items": [1]]', '{"items": ["a\tb"]}',
]  # fmt: skip


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_json_by_items_is_json_as_a_whole(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome() -> object:
        try:
            return [document.data for document in load(text, "it.json", lambda item: item)]
        except ValueError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
            return str(error)

    whole = outcome()
    monkeypatch.setattr(json_text, "LARGE_JSON", 1)
    large = outcome()
    monkeypatch.setattr(json_text, "_by_item", lambda *_: None)
    assert large == outcome()
    assert large == whole or "is not JSON kpsim can take" in str(large)
