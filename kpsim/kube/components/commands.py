"""Command lines of Kubernetes' own components: in static Pods, DaemonSets, and what k3s and RKE2 write on a Node.

A static Pod's manifest is a file of the control plane's node and, as a mirror, a Pod of the dump; kube-proxy's flags
stand in its DaemonSet, or behind a shell.  k3s and RKE2 run components inside themselves and tell a Node their flags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-proxy")
NODE_ARGS = {"k3s.io/node-args": "k3s", "rke2.io/node-args": "rke2"}

Flag = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Command:
    """One component's command line, the tag of the image it is in, and where that was read."""

    component: str  # one of COMPONENTS, or k3s and rke2, which are all of them
    flags: tuple[Flag, ...]
    tag: str
    said: str

    def flag(self, name: str) -> str:
        """Return the value of a flag (the last, as the component does), "" without."""
        return dict(self.flags).get(name, "")


def commands_in(raw: Mapping[str, object]) -> Iterator[Command]:
    """Yield the commands of components that a Pod, a workload or a Node shows."""
    metadata = _mapping(raw.get("metadata"))
    kind = str(raw.get("kind") or "Pod")
    where = f"{kind} {metadata.get('name') or 'without a name'}"
    if kind == "Node":
        for annotation, component in NODE_ARGS.items():
            written = _mapping(metadata.get("annotations")).get(annotation)
            yield from of_distribution(component, _words_of_json(written), f"{annotation} of {where}")
        return
    spec = _mapping(raw.get("spec"))
    template = spec.get("template")
    for container in _list(_mapping(_mapping(template).get("spec")) if template else spec, "containers"):
        at = _mapping(container)
        words = [word for text in (*_list(at, "command"), *_list(at, "args")) for word in str(text).split()]
        for index, word in enumerate(words):
            component = word.rpartition("/")[2]
            if component in COMPONENTS:
                yield Command(component, tuple(flags_of(words[index + 1 :])), _tag(at), f"{component} in {where}")
                break


def of_distribution(component: str, words: Sequence[str], said: str) -> Iterator[Command]:
    """Yield what ``k3s server`` or RKE2 was started with, and the kube-proxy in it by its own flags."""
    flags = tuple(flags_of(words))
    if flags:
        yield Command(component, flags, "", said)
    inner = [f"--{value.lstrip('-')}" for name, value in flags if name == "kube-proxy-arg"]
    if inner:
        yield Command("kube-proxy", tuple(flags_of(inner)), "", said)


def flags_of(words: Sequence[str]) -> Iterator[Flag]:
    """Yield (name, value) of ``--name=value``, ``--name value`` and ``--name``, which is true."""
    for index, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, sign, value = word[2:].partition("=")
        after = words[index + 1] if index + 1 < len(words) else "-"
        text = value if sign else "true" if after.startswith("-") else after
        yield name.replace("_", "-"), text.strip("\"'")


def _tag(container: Mapping[str, object]) -> str:
    """Return the tag of an image: the component's release, if whoever built it says so."""
    name = str(container.get("image") or "").partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def _words_of_json(written: object) -> list[str]:
    try:
        words = json.loads(str(written)) if written else []
    except ValueError:
        return []
    return [str(word) for word in words] if isinstance(words, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(at: Mapping[str, object], name: str) -> list[object]:
    value = at.get(name)
    return value if isinstance(value, list) else []
