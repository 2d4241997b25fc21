"""A commented scenario to begin with: one that kpsim brings, or a small one around a well-known load test."""

from __future__ import annotations

import re

import yaml

from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.scenario.model import Scenario
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.sections.presets import PRESETS
from kpsim.scenario.starts.shipped import shipped

OWN = "own"
_OWN_ABOUT = "Three groups of Services of your own, with churn, an objective, and two modes to compare."
_EDITOR = re.compile(r"^# yaml-language-server:.*\n", re.MULTILINE)
_TEMPLATE = """\
# {about}
#
# Every key, with its unit and default: kpsim explain field spec
apiVersion: {api}
kind: Scenario
metadata:
  name: {name}
  description: The question this file asks.
spec:
  kubernetes: {{version: "{version}"}}  # which modes and defaults there are
  cluster: {{nodes: 100, cores: 8}}
  services:{services}
  # importFrom: [dump.json]  # real objects beside them: kubectl get svc,endpointslices,nodes -A -o json
  kubeProxy: {{mode: iptables}}  # a KubeProxyConfiguration; paste the cluster's own
  compare: {{modes: [{modes}]}}  # the same arrivals and changes for each
  traffic: {{connectionsPerSecondPerNode: 100, packetsPerConnection: 10}}
  changes:
    churn: {{podReplacementsPerSecond: 1}}  # in the whole cluster; each takes up to four EndpointSlice writes
    # events: [{{at: 30s, rollout: {{service: default/web-0, preStop: 5s}}}}]
  run: {{duration: 60s, warmup: 10s, seed: 1, replications: 5}}
  thresholds: {{network_programming_true: ["p99 < 10s"]}}  # ends with exit code 99 where it is not met
"""
_GROUPS = """
    - {name: web, count: 900, endpoints: 5}  # 900 Services of 5 endpoints each
    - {name: shop, count: 90, endpoints: 30}
    - {name: big, count: 10, endpoints: 250}"""


def starts() -> dict[str, str]:
    """Return what each scenario to begin with is about, by name."""
    tests = {name: f"The Services of the load test {name}." for name in PRESETS if name not in shipped()}
    return {OWN: _OWN_ABOUT, **tests, **{name: _question(path.read_text("utf-8")) for name, path in shipped().items()}}


def start(name: str) -> str:
    """Return the text of the scenario to begin with.  Raises :class:`InputError` if none is called so."""
    if name in shipped():
        return _EDITOR.sub("", shipped()[name].read_text("utf-8"))
    known = starts()
    if name not in known:
        mend = did_you_mean(name, known, f"there are {', '.join(known)}")
        raise InputError([Problem(Place(), what=f"no scenario to begin with is called {name!r}", mend=mend)])
    return _TEMPLATE.format(
        about=known[name],
        api=API_VERSION,
        name="my-cluster" if name == OWN else name,
        version="{}.{}".format(*Scenario("").kubernetes_version),
        services=_GROUPS if name == OWN else f" [{{preset: {name}}}]  # sized by the cluster's nodes",
        modes="iptables, nftables",
    )


def _question(text: str) -> str:
    """Return the description of a scenario file, on one line."""
    metadata = yaml.safe_load(text)["metadata"]
    return " ".join(str(metadata.get("description") or metadata["name"]).split())
