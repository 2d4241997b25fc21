"""The scenario written back with every default made explicit: it reads the same whatever the defaults become."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from kpsim.dns.params import DnsParams
from kpsim.kube.writer import documents_of
from kpsim.scenario.keys.writing import written
from kpsim.scenario.model import Scenario
from kpsim.scenario.schema import API_VERSION, ChangesSection, Compare, Kubernetes, Metadata, ScenarioDocument, Spec
from kpsim.scenario.sections.events import item_of
from kpsim.scenario.sections.kubeproxy import kube_proxy_document

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def to_document(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario as the mapping its file would hold, fully explicit; real objects under ``spec.objects``."""
    texts: dict[str, tuple[str, ...]] = {}
    for threshold in scenario.thresholds:
        texts[threshold.measure] = (*texts.get(threshold.measure, ()), threshold.text)
    spec = Spec(
        kubernetes=Kubernetes(scenario.kubernetes_version),
        cluster=scenario.cluster,
        services=scenario.groups,
        api_server=scenario.api_server,
        controller_manager=scenario.controller_manager,
        compare=Compare(scenario.modes),
        traffic=scenario.traffic,
        changes=ChangesSection(scenario.churn, tuple(map(item_of, scenario.events)) or None),
        faults=scenario.faults,
        dns=None if scenario.dns == DnsParams() else scenario.dns,
        ingress=scenario.ingress,
        profile=scenario.profile,
        run=scenario.run,
        thresholds=texts,
        ask=scenario.ask,
    )
    metadata = Metadata(scenario.name, scenario.description)
    document = written(ScenarioDocument(API_VERSION, "Scenario", metadata, spec))
    document["spec"] |= {
        "kubeProxy": kube_proxy_document(scenario.kube_proxy),
        "objects": list(documents_of(scenario.objects)),
    }
    return document


def write_resolved(scenario: Scenario) -> str:
    """Return the YAML text of :func:`to_document`; reads back to an equal scenario."""
    return as_text(to_document(scenario))


def as_text(document: dict[str, Any]) -> str:
    """Return a scenario document as YAML; each object is a line of JSON, which is YAML too and much faster to write."""
    spec = dict(document["spec"])
    objects: Iterable[object] = spec.pop("objects", ())
    head = yaml.dump(
        {**document, "spec": spec},
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )
    lines = [f"  - {_line(item)}\n" for item in objects]
    return str(head) + ("  objects:\n" if lines else "") + "".join(lines)


def _line(item: object) -> str:
    text = json.dumps(item, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
