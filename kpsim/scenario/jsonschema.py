"""The JSON Schema of a scenario file, generated from the models that read it and the modes there are."""

from __future__ import annotations

from typing import Any

from kpsim.scenario.schema import ScenarioDocument
from kpsim.scenario.sections.modes import built_modes

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """What editors complete and check scenario files with."""
    schema = ScenarioDocument.model_json_schema(by_alias=True)
    modes = list(built_modes())
    definitions: dict[str, Any] = schema["$defs"]
    definitions["ComparePart"]["properties"]["modes"]["items"] = {"enum": modes}
    proxy = definitions["KubeProxyPart"]["properties"]
    proxy["mode"] = {"enum": [*modes, ""], "default": ""}
    for mode in modes:
        proxy.setdefault(mode, {"$ref": "#/$defs/ModePart"})
    return {"$schema": DRAFT, "title": "kpsim scenario", **schema}
