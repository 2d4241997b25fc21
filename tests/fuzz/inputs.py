"""Inputs by kind: scenarios after the schema, manifests, rules of nodes, logs and metrics, whole and damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
RIGHT = 60  # of so many values and one, one is not what the schema allows
NASTY = (
    "", " ", "=1+1", "@a", "-1", "+1", "|x", "<b>", "</script>", "a b", "\x1b[31mred", "\u202egnp", "\x00", "\u2028",
    "a/b", "../..", "x" * 300, "%s", "{0}", "{{a}}", "`a`", "[a](javascript:x)", "'", '"', "\\", "\r\n", "\ud7ff",
)  # fmt: skip
NAMES = (*("a", "web", "web-0", "shop/web", "default/web-0", "node-0", "svc", "kube-dns") * 20, *NASTY)
AMOUNTS = (
    "0",
    "1",
    "2",
    "3",
    "10",
    "10k",
    "1e3",
    "1M",
    "1e9",
    "999999999999",
    "1e300",
    "1e-9",
    "0.5",
    "1..3:lin:3",
    "1,2",
)
TIMES = ("0", "1ns", "1ms", "250ms", "1s", "5s", "30s", "1m", "1h", "1000h", "1e9s", "99999999h", "5", "1d")
WORDS = (
    "apiVersion", "kind", "metadata", "name", "namespace", "labels", "spec", "ports", "port", "targetPort", "nodePort",
    "clusterIP", "clusterIPs", "ipFamilies", "type", "items", "selector", "matchLabels", "endpoints", "addresses",
    "conditions", "ready", "serving", "status", "podIP", "replicas", "template", "containers", "containerPort",
    "addressType", "loadBalancer", "ingress", "ip", "subsets", "nodeName", "zone", "data", "protocol", "app",
)  # fmt: skip
KINDS = (
    "Service", "Pod", "Node", "EndpointSlice", "Endpoints", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet",
    "Ingress", "List", "ServiceList", "ConfigMap", "KubeProxyConfiguration", "Secret", "HorizontalPodAutoscaler",
)  # fmt: skip
SERVICE = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
RUN = {"duration": "4s", "warmup": "1s", "packets": 500, "replications": 1}
IPTABLES = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SVC-AAAAAAAAAAAAAAAA -m comment --comment "shop/web:http -> 10.244.1.7:8080" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-BBBBBBBBBBBBBBBB
-A KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.1.7:8080
COMMIT
"""  # noqa: E501 - a rule is a line
NFT = """table ip kube-proxy {
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.0.10 . tcp . 80 : goto service-ABCDEFGH-shop/web/tcp/http }
  }
  chain service-ABCDEFGH-shop/web/tcp/http {
    numgen random mod 1 vmap { 0 : goto endpoint-IJKLMNOP-shop/web/tcp/http__10.244.1.7/8080 }
  }
  chain endpoint-IJKLMNOP-shop/web/tcp/http__10.244.1.7/8080 {
    meta l4proto tcp dnat to 10.244.1.7:8080
  }
}
"""
IPVS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.10:80 rr
  -> 10.244.1.7:8080              Masq    1      0          0
"""
LOG = "\n".join(
    f"I0105 10:00:0{n}.000001       1 proxier.go:822] {text}"
    for n, text in enumerate(
        (
            '"Syncing iptables rules" ipFamily="IPv4" fullSync=true',
            '"Reloading service iptables data" ipFamily="IPv4" numServices=30 numEndpoints=75 numNATRules=48',
            '"SyncProxyRules complete" ipFamily="IPv4" elapsed="93.2ms"',
            "syncProxyRules took 61.6ms",
        )
    )
)
METRICS = """# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram
kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="0.1"} 5
kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="+Inf"} 6
kubeproxy_sync_proxy_rules_duration_seconds_sum 0.7
kubeproxy_sync_proxy_rules_duration_seconds_count 6
kubeproxy_sync_proxy_rules_iptables_total{table="nat"} 1234
"""
PIECES = (
    ":", "-", "{", "}", "[", "]", "\n", "  ", "\t", "&a", "*a", "!x", "|", ">", "'", '"', "?", "%", "\x00", "null",
    "1e999",
    "010", "<<: ", "---\n", "{{", "9" * 400, "\x85", "\u2028", "\ufeff", ".inf", ".nan", "0x", "-A ", "-j ", "/32",
    " . ", "=", ",", "10.96.0.10", "fd00::1", "\x1b]0;x\x07", "\u202e",
)  # fmt: skip


_PIECE = st.sampled_from((*PIECES, *NASTY, "{}", "[]", "null", "1e999", "-1", ",,,"))


@dataclass(frozen=True, slots=True)
class Case:
    """One file, and the commands it goes through; ``FILE`` stands for its name."""

    name: str
    raw: bytes
    commands: tuple[tuple[str, ...], ...]
    beside: tuple[tuple[str, bytes], ...] = ()  # further files
    before: tuple[tuple[str, ...], ...] = ()  # commands that make what is damaged then
    damage: tuple[tuple[str, int, int, str], ...] = ()  # of a file: where, how much is cut, what is put there


@cache
def _schema() -> dict[str, Any]:
    from kpsim.scenario.jsonschema import json_schema

    return json_schema()


def _value(schema: dict[str, Any], key: str) -> st.SearchStrategy[Any]:
    """Values that the schema allows, and now and then others."""
    wrong: st.SearchStrategy[Any] = st.sampled_from(
        (None, True, -1, 0, 1.5, "x", [], {}, 10**12, "1:30", "010", *NASTY)
    )
    return st.one_of(*[_right(schema, key)] * RIGHT, wrong)


def _right(schema: dict[str, Any], key: str) -> st.SearchStrategy[Any]:
    if "anyOf" in schema:
        return st.one_of(*(_right(each, key) for each in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "properties" in schema:
        needed = set(schema.get("required", ()))
        every = {name: _value(each, name) for name, each in schema["properties"].items()}
        rare = {name: each for name, each in every.items() if name not in needed}
        some = st.dictionaries(st.sampled_from(sorted(rare)), st.none(), max_size=4) if rare else st.just({})
        return some.flatmap(
            lambda chosen: st.fixed_dictionaries({name: every[name] for name in (*sorted(needed), *sorted(chosen))})
        )
    kind = schema.get("type")
    if kind == "array":
        return st.lists(_value(schema["items"], key), min_size=schema.get("minItems", 0), max_size=3)
    if kind == "object":
        inner = schema.get("additionalProperties")
        inside = _value(inner, key) if isinstance(inner, dict) else st.sampled_from(("p99 < 1s", ["p99 < 1ms"], "x", 1))
        return st.dictionaries(st.sampled_from(NAMES + WORDS), inside, max_size=3)
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 10**12)
        small = st.integers(int(low), min(int(low) + 5, int(high)))
        if kind == "number":
            return st.one_of(small, st.floats(low, min(high, 1e12), allow_nan=False))
        return st.one_of(small, small, st.sampled_from([int(high), int(low)]))
    if kind == "boolean":
        return st.booleans()
    pattern = schema.get("pattern")
    if pattern:
        return st.sampled_from([each for each in (*AMOUNTS, *TIMES) if re.search(pattern, each)])
    return st.sampled_from((*NAMES, str(schema.get("default", "a"))))


@st.composite
def _scenario(draw: st.DrawFn) -> dict[str, Any]:
    schema = _schema()["properties"]["spec"]
    spec = draw(_right(schema, "spec"))
    if draw(st.integers(0, 3)):
        spec["services"] = [{"name": "web", "count": 2, "endpoints": 2}]
    if draw(st.integers(0, 3)):
        spec["run"] = RUN | draw(st.sampled_from(({}, {}, {"engine": "batch"}, {"seed": 7}, {"duration": "1e9s"})))
    spec.pop("importFrom", None)
    document = {"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}
    if draw(st.booleans()):
        document["metadata"] = {"name": draw(st.sampled_from(NAMES))}
    return document


def _anything() -> st.SearchStrategy[Any]:
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(-1, 70_000), st.sampled_from(NAMES + WORDS), st.integers(), st.floats(),
        st.sampled_from(("10.96.0.10", "None", "fd00::1", "300.1.1.1", "10.244.1.7", "TCP", "IPv6", "FQDN", "Local")),
    )  # fmt: skip
    return st.recursive(
        leaf,
        lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inside, max_size=4),
        max_leaves=12,
    )


@st.composite
def _object(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(KINDS))
    found: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": {"name": draw(st.sampled_from(NAMES))}}
    if kind == "Service":
        found["spec"] = SERVICE | draw(st.dictionaries(st.sampled_from(WORDS), _anything(), max_size=2))
    for part in draw(
        st.lists(st.sampled_from(("metadata", "spec", "status", "items", "endpoints", "subsets", "data")), max_size=2)
    ):
        found[part] = draw(_anything())
    if "replicas" in str(found):
        found["spec"] = {"replicas": draw(st.sampled_from((1, 10**9))), "selector": {"matchLabels": {"app": "web"}},
                         "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}}  # fmt: skip
    return found


@st.composite
def _damaged(draw: st.DrawFn, texts: tuple[str, ...]) -> str:
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.sampled_from((0, 0, 1, 3, 20, 200)))
        text = text[:at] + draw(st.sampled_from(PIECES + NASTY)) + text[at + cut :]
    return text


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(value: object) -> bytes:
    return _encoded(json.dumps(value, ensure_ascii=False))


_BRIEF = ("--max-memory", "300M", "--max-time", "5s", "--jobs", "1", "-q", "--out", "out")
_SIMULATE = (
    ("check", "FILE"),
    ("run", "FILE", *_BRIEF),
    ("explain", "service", "web-0", "-f", "FILE"),
    ("explain", "packet", "--to", "web-0:80", "-f", "FILE"),
    ("rules", "FILE"),
)
_MORE = (
    ("compare", "FILE", *_BRIEF),
    ("sweep", "FILE", "--set", "services.web.count=1,2", *_BRIEF),
    ("metrics", "FILE"),
    ("explain", "dns", "web-0", "-f", "FILE"),
)
_OBJECTS = (
    ("import", "FILE"),
    ("check", "FILE"),
    ("run", "FILE", "--set", "run.duration=3s", "--set", "run.warmup=0s", "--set", "run.packets=500", *_BRIEF),
    ("explain", "service", "web", "-f", "FILE"),
)
_KEPT = ("summary.json", "summaries.csv", "manifest.json", "scenario.resolved.yaml", "cdf.csv")
_SMALL = f"""{{"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": {{"cluster": {{"nodes": 2}},
 "services": [{{"name": "web", "count": 2, "endpoints": 2}}], "run": {json.dumps(RUN | {"engine": "batch"})}}}}}"""
_QUIET = ("--jobs", "1", "-q")
_BEFORE = (("run", "s.json", *_QUIET, "--out", "out"), ("run", "s.json", *_QUIET, "--seed", "2", "--out", "results/b"))
_AFTER = (
    ("report", "out"),
    ("report", "out", "--format", "json"),
    ("report", "out", "--format", "csv"),
    ("report", "out", "--format", "openmetrics"),
    ("report", "out", "--format", "trace", "--nodes", "1"),
    ("replay", "out", "--jobs", "1"),
    ("compare", "out", "results/b"),
    ("check", "out"),
)
_GRID = ("sweep", "s.json", "--set", "services.web.count=1,2", *_QUIET, "--out", "out")
_RULES = (("import", "FILE"), ("check", "FILE"), ("explain", "packet", "--to", "10.96.0.10:80", "-f", "FILE"))


@st.composite
def _case(
    draw: st.DrawFn, raw: st.SearchStrategy[bytes], name: str, sure: tuple[Any, ...], more: tuple[Any, ...]
) -> Case:
    chosen = draw(st.sampled_from(more)) if more else None
    return Case(name, draw(raw), (*sure, *((chosen,) if chosen else ())))


def _several(cuts: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(cuts, min_size=1, max_size=3).map(tuple)


@st.composite
def _sets(draw: st.DrawFn) -> Case:
    """A right scenario, and keys that are written over by anything."""
    keys = draw(st.lists(st.sampled_from(_keys()), min_size=1, max_size=3))
    words: list[str] = []
    values = st.sampled_from((*AMOUNTS, *TIMES, *NAMES[:9], *NASTY, ".inf", "-1", "0x10"))
    for key in keys:
        words += ["--set", f"{key}={draw(values)}"]
    words = [word.replace("\x00", "") for word in words]  # of a command line, no word has one
    words = [word.encode("utf-8", "replace").decode() for word in words]
    return Case("s.json", _encoded(_SMALL), (("check", "FILE", *words), ("run", "FILE", *words, *_BRIEF)))


@cache
def _keys() -> tuple[str, ...]:
    """Every key of a scenario as ``--set`` takes it."""

    def below(schema: dict[str, Any], path: str) -> Iterator[str]:
        found = schema.get("properties", {})
        if not found and path:
            yield path
        for name, inner in found.items():
            yield from below(inner, f"{path}.{name}" if path else name)

    return (*below(_schema()["properties"]["spec"], ""), "services.web.count", "services.web.endpoints", "services.x.a")


@st.composite
def _kept(draw: st.DrawFn) -> Case:
    """A run, one of whose files is damaged."""
    name = draw(st.sampled_from(_KEPT))
    cuts = st.tuples(st.just(f"out/{name}"), st.integers(0, 4000), st.sampled_from((0, 1, 30, 10**6)), _PIECE)
    chosen = draw(st.lists(st.sampled_from(_AFTER), min_size=1, max_size=3, unique=True))
    return Case(
        "s.json",
        _encoded(_SMALL),
        tuple(chosen),
        before=_BEFORE,
        damage=tuple(draw(st.lists(cuts, min_size=1, max_size=3))),
    )


@st.composite
def _resumed(draw: st.DrawFn) -> Case:
    """A sweep that goes on from points of which one is damaged."""
    cuts = st.tuples(
        st.just("results/sweeps/points/*"), st.integers(0, 3000), st.sampled_from((0, 1, 30, 10**6)), _PIECE
    )
    return Case(
        "s.json",
        _encoded(_SMALL),
        (_GRID,),
        before=(_GRID,),
        damage=tuple(draw(st.lists(cuts, min_size=1, max_size=3))),
    )


@st.composite
def _profile(draw: st.DrawFn) -> Case:
    """A profile of one's own, or records to validate, damaged."""
    text = draw(_damaged(_calibrated()))
    own = ("--set", "profile.name=p.yaml")
    commands = (("check", "s.json", *own), ("run", "s.json", *own, *_BRIEF), ("validate", "--records", "p.yaml"))
    return Case("p.yaml", _encoded(text), commands, beside=(("s.json", _encoded(_SMALL)),))


@cache
def _calibrated() -> tuple[str, ...]:
    profile = (ROOT / "kpsim/profiles/uml-6.1.yaml").read_text(encoding="utf-8")
    published = (ROOT / "kpsim/calibration/records/published.yaml").read_text(encoding="utf-8")
    table = (ROOT / "kpsim/calibration/records/user-mode.csv").read_text(encoding="utf-8")
    return profile, published[:6000], table[:3000]


def cases() -> dict[str, st.SearchStrategy[Case]]:
    """Every kind of input by its name."""
    shipped = tuple(path.read_text(encoding="utf-8") for path in sorted((ROOT / "scenarios").glob("*.yaml")))
    documents = st.lists(_object(), min_size=1, max_size=4)
    listed = documents.map(lambda items: _json({"apiVersion": "v1", "kind": "List", "items": items}))
    rules = st.one_of(*[_damaged((IPTABLES, NFT, IPVS)).map(_encoded)] * 4, st.binary(max_size=80))
    text = _damaged((LOG, METRICS, f"{LOG}\n{METRICS}")).map(_encoded)
    fits = (
        ("calibrate", "FILE"),
        ("calibrate", "FILE", "FILE"),
        ("calibrate", "FILE", "--mode", "iptables", "-o", "json"),
    )
    return {
        "scenarios": _case(_scenario().map(_json), "s.json", _SIMULATE[:2], _SIMULATE[2:] + _MORE),
        "texts": _case(_damaged(shipped).map(_encoded), "s.yaml", (("check", "FILE"),), ()),
        "manifests": _case(listed, "o.json", _OBJECTS[:2], _OBJECTS[2:]),
        "dumps": _case(rules, "rules.txt", _RULES, ()),
        "sets": _sets(),
        "kept": _kept(),
        "resumed": _resumed(),
        "profiles": _profile(),
        "logs": _case(text, "kube-proxy.log", (("import", "FILE"),), fits),
    }
