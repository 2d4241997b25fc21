"""One key of a scenario is explained: its meaning, unit, default, values, and the part of the model it goes to."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from kpsim.errors import InputError, Place, Problem, did_you_mean, nearest
from kpsim.measure.summary import MEASURES
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.keys.reference import MAPPING, KeyText, texts_of
from kpsim.scenario.model import Scenario
from kpsim.scenario.resolved import to_document
from kpsim.scenario.schema import ModeSection, ScenarioDocument
from kpsim.scenario.sections.modes import built_modes
from kpsim.scenario.tree import ALIASES, TOP
from kpsim.simulation import mode_of
from kpsim.units import format_duration

_LISTED = re.compile(r"\[\d*\]|\.\d+(?=\.|$)")  # services[0], services[] and services.0 are all the list's items
_TOPMOST = (*TOP, "sweep")
MOST_NEAR = 5


@dataclass(frozen=True, slots=True)
class FieldStory:
    """A key in words, an option that sets it ("" for one that holds others), and the keys right below it."""

    key: KeyText
    option: str
    below: tuple[KeyText, ...]


def explain_field(name: str = "") -> FieldStory:
    """Return the story of a key, written as ``--set`` or as the file has it; without a name, of the whole file.

    Raises :class:`InputError`, with the nearest keys, if there is none.

    >>> explain_field("traffic.packetsPerConnection").key.unit
    'a whole number per connection, from 1'
    """
    texts = reference()
    if not name:
        whole = KeyText("", "A scenario file", MAPPING, "")
        return FieldStory(whole, "", _below(texts, ""))
    path = _found(texts, name)
    key, below = texts[path], _below(texts, path)
    option = (
        ""
        if below or key.unit == MAPPING
        else f"--set {path.removeprefix('spec.').replace('[]', '.0')}={_example(key)}"
    )
    return FieldStory(key, option, below)


@cache
def reference() -> dict[str, KeyText]:
    """Return every key of a scenario file by its path, in the order of the file."""
    texts = {text.path: text for text in texts_of(ScenarioDocument)}
    modes = built_modes()
    for mode in modes:
        section = f"spec.kubeProxy.{mode}"
        if section not in texts:
            texts[section] = KeyText(section, f"How the {mode} mode syncs", MAPPING, "kube-proxy's own")
            texts |= {text.path: text for text in texts_of(ModeSection, section)}
    values = {"spec.kubeProxy.mode": modes, "spec.compare.modes": modes, "spec.thresholds": tuple(MEASURES)}
    for path, choices in values.items():
        texts[path] = replace(texts[path], choices=choices)
    standing = to_document(Scenario(""))
    for mode in modes:
        least_s = mode_of(Scenario(""), mode)[0].runner(Scenario("").kubernetes_version).min_sync_s
        periods = {"minSyncPeriod": least_s, "syncPeriod": load_defaults().value("kube_proxy.sync_period")}
        section = standing["spec"]["kubeProxy"].setdefault(mode, {})
        section |= {key: format_duration(period_s) for key, period_s in periods.items()}
    return {path: replace(text, default=_standing(text, standing)) for path, text in texts.items()}


def _standing(text: KeyText, document: dict[str, Any]) -> str:
    """Return the default in words, with the value that stands for e.g. "kube-proxy's own" in a plain scenario."""
    value: Any = document
    for part in text.path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    plain = isinstance(value, str | int | float) and value != ""
    if not plain or str(value).lower() in text.default.lower():
        return text.default
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text.default} ({shown})" if text.default not in ("", "none") else shown


def _found(texts: dict[str, KeyText], name: str) -> str:
    """Return the path that a name means."""
    parts = _LISTED.sub("", name.strip()).strip(".").split(".")
    parts[0] = ALIASES.get(parts[0], parts[0])
    written = ".".join(parts if parts[0] in _TOPMOST else ["spec", *parts])
    plain = {path.replace("[]", "").lower(): path for path in texts}
    if written.lower() in plain:
        return plain[written.lower()]
    last = parts[-1].lower()
    same = [path for path in texts if path.rpartition(".")[2].lower() == last]
    if same:
        mend = f"did you mean {' or '.join(same[:MOST_NEAR])}?"
    elif near := nearest(written, plain) if len(parts) > 1 else "":
        mend = f"did you mean {plain[near]}?"
    else:
        mend = did_you_mean(last, {path.rpartition(".")[2] for path in texts}, "kpsim explain field lists the keys")
    raise InputError([Problem(Place(), what=f"a scenario has no key {name}", mend=mend)])


def _below(texts: dict[str, KeyText], path: str) -> tuple[KeyText, ...]:
    """Return the keys right below a path."""
    start = (f"{path}.", f"{path}[].") if path else ("",)
    return tuple(
        text
        for other, text in texts.items()
        for begin in start
        if other.startswith(begin) and "." not in other.removeprefix(begin)
    )


def _example(key: KeyText) -> str:
    default = key.default.rpartition("(")[2].rstrip(")")
    return key.choices[0] if key.choices else default if default and " " not in default and default != "none" else "…"
