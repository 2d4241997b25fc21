"""Keys that follow from declared fields: their names, their descriptions, and that a new one needs nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from kpsim.declared import Declared
from kpsim.errors import InputError
from kpsim.history.events import EVENTS
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.jsonschema import json_schema
from kpsim.scenario.keys.jsonschema import schema_of
from kpsim.scenario.keys.layout import camel
from kpsim.scenario.keys.reading import Reader
from kpsim.scenario.keys.writing import written
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import to_document
from kpsim.scenario.sections.events import name_of_kind
from kpsim.scenario.tree import Tree


@dataclass(frozen=True, slots=True)
class Kettle:
    """A parameter class that no section knows."""

    water_bytes: Annotated[int, Declared("How much is in it", at_least=2, at_most=9)]
    heating_s: Annotated[float, Declared("How long it takes", more_than=0)] = 180.0
    cups_per_s: Annotated[float, Declared("How fast it is emptied")] = 0.5
    lid: Annotated[Literal["open", "shut"], Declared("Where its lid is")] = "shut"
    whistle: Annotated[bool | None, Declared("It is heard", otherwise="as it was made")] = None
    rust: int = 0  # nothing that a file says


def kettle(data: object) -> tuple[Kettle, list[str]]:
    complaints = Complaints(Tree("kettle.yaml", {"kettle": data}))
    found = Reader(complaints, Kettle, {}).read(Kettle, data, ("kettle",))
    return found, [f"{problem.key}: {problem.what} {problem.mend}".strip() for problem in complaints.problems]


def test_a_key_is_one_field() -> None:
    data = {"waterBytes": "4", "heating": "3m", "cupsPerSecond": 2, "lid": "open", "whistle": True}
    assert kettle(data) == (Kettle(4, 180.0, 2.0, "open", True), [])
    assert written(Kettle(4)) == {"waterBytes": 4, "heating": "3m", "cupsPerSecond": 0.5, "lid": "shut"}
    described = {key: value["description"] for key, value in schema_of(Kettle)["properties"].items()}
    assert described == {
        "waterBytes": "How much is in it. A whole number, from 2 to 9; required.",
        "heating": "How long it takes. A duration, e.g. 30s or 250ms; default: 3m.",
        "cupsPerSecond": "How fast it is emptied. A number per second; default: 0.5.",
        "lid": "Where its lid is. One of open, shut; default: shut.",
        "whistle": "It is heard. True or false; default: as it was made.",
    }


def test_all_that_is_wrong_is_said_at_once() -> None:
    found, said = kettle({"waterBytes": 1, "heating": "0s", "cupsPerSecond": "fast", "lid": "shot", "whistel": 1})
    assert found == Kettle(0)
    assert said == [
        "kettle.whistel: unknown key did you mean whistle?",
        "kettle.waterBytes: must be at least 2, not 1",
        "kettle.heating: must be more than 0, not 0",
        "kettle.cupsPerSecond: 'fast' is not a number write e.g. 12, 100k, 10M or 1e6",
        "kettle.lid: 'shot' is not one of open, shut did you mean shut?",
    ]
    assert kettle({})[1] == ["kettle.waterBytes: is missing"]
    assert kettle([])[1] == ["kettle: must be a mapping, not a list"]


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("packet_interval_s", "packetInterval"),
        ("connections_per_s_per_node", "connectionsPerSecondPerNode"),
        ("max_endpoints_per_slice", "maxEndpointsPerSlice"),
        ("service_cluster_ip_range", "serviceClusterIPRange"),
        ("ip_family_policy", "ipFamilyPolicy"),
        ("exclude_cidrs", "excludeCIDRs"),
    ],
)
def test_names_of_keys(field: str, key: str) -> None:
    assert camel(field) == key


def properties(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property of a schema by its path."""
    for name, below in schema.get("properties", {}).items():
        path = f"{above}.{name}".lstrip(".")
        yield path, below
        yield from properties(below, path)
    inside = schema.get("items", {})
    for each in [inside, *inside.get("anyOf", ()), *schema.get("anyOf", ())]:
        yield from properties(each, f"{above}[]") if each else ()


def test_an_editor_shows_meaning_unit_and_default_of_every_key() -> None:
    found = dict(properties(json_schema()))
    assert len(found) > 120
    shape = re.compile(r".{5,}\. [A-Z].{2,}; (default: .+|required)\.")  # meaning, unit, default
    assert not [path for path, schema in found.items() if not shape.fullmatch(schema.get("description", ""))]
    shown = found["spec.run.duration"]
    assert shown["description"].endswith("A duration, e.g. 30s or 250ms; default: 1m.")
    assert shown["default"] == "1m"


def test_every_value_that_is_written_has_a_key_in_the_schema() -> None:
    known = dict(properties(json_schema()))

    def leaves(value: object, path: str) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from leaves(item, f"{path}.{key}".lstrip("."))
        else:
            yield path

    assert not [path for path in leaves(to_document(Scenario("it")), "") if path not in known]


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_kind_names_itself(kind: type, tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    name = name_of_kind(kind)
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  changes:\n    events:\n"
        f"    - {{at: 20s, {name}: {{odd: 1}}}}\n"
    )
    with pytest.raises(InputError, match=rf"events\[0\]\.{name}\.odd: unknown key"):
        read(path)


QUAKE = """
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import kpsim.history.events as events
from kpsim.declared import Declared
from kpsim.history.events.event import ServiceEvent
from kpsim.units import to_ns

@dataclass(frozen=True, slots=True)
class EarthQuake(ServiceEvent):
    "The ground shakes."

    for_s: Annotated[float, Declared("How long")]
    shaken: Annotated[int, Declared("Pods that hang", at_least=1)] = 1

    def described(self):
        return f"earthquake below {self.service}"

    def act(self, scene):
        for pod in scene.some(self.shaken):
            scene.book.hang(pod, scene.number, to_ns(self.for_s))

events.EVENTS = (*events.EVENTS, EarthQuake)

from kpsim.scenario.jsonschema import json_schema
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.simulation import build_cluster, prepare

path = Path(sys.argv[1])
scenario = read(path)
path.write_text(write_resolved(scenario))
assert read(path) == scenario
schema = str(json_schema())
assert "The ground shakes. A mapping" in schema and "Pods that hang. A whole number, from 1; default: 1." in schema
(trace,) = prepare(scenario, build_cluster(scenario)[0], 0).traces
print(trace.event.described(), len(trace.outages.of))
"""


def test_a_new_event_kind_is_one_class_and_one_line(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n  services: [{name: web, endpoints: 4}]\n"
        "  changes: {events: [{at: 20s, earthQuake: {service: web-0, for: 5s, shaken: 2}}]}\n"
    )
    shown = subprocess.run([sys.executable, "-c", QUAKE, str(path)], capture_output=True, text=True, check=False)
    assert shown.stdout == "earthquake below default/web-0 2\n", shown.stderr
