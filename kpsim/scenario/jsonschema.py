"""The JSON Schema of a scenario file, generated from the classes that read it and the modes there are."""

from __future__ import annotations

from typing import Any

from kpsim.scenario.keys.jsonschema import schema_of
from kpsim.scenario.schema import ModeSection, ScenarioDocument
from kpsim.scenario.sections.modes import built_modes

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return what editors complete, check and explain scenario files with."""
    schema = schema_of(ScenarioDocument)
    modes = list(built_modes())
    spec = schema["properties"]["spec"]["properties"]
    spec["compare"]["properties"]["modes"]["items"] = {"enum": modes}
    proxy = spec["kubeProxy"]["properties"]
    proxy["mode"] |= {"enum": [*modes, ""]}
    for mode in modes:
        proxy.setdefault(
            mode,
            {
                **schema_of(ModeSection),
                "description": f"How the {mode} mode syncs. A mapping; default: kube-proxy's own.",
            },
        )
    return {"$schema": DRAFT, "title": "kpsim scenario", **schema}
