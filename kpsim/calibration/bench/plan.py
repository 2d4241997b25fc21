"""A plan says what to time: inputs of tools, addresses of packets, sizes; as bytes it goes to the process that does it.

A line of JSON comes first, and the texts behind it, each once and as long as the line says: they are many megabytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Input:
    """A tool's command line and the text it is given."""

    command: tuple[str, ...]
    text: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Input:
        """Return the input that was read."""
        return cls(tuple(found["command"]), found["text"])


@dataclass(frozen=True, slots=True)
class Step:
    """One command that is timed, called ``quantity``; ``undo`` makes the tables what they were, and is not timed."""

    quantity: str
    run: Input
    undo: Input | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Step:
        """Return the step that was read."""
        return cls(found["quantity"], Input.of(found["run"]), Input.of(found["undo"]) if found["undo"] else None)


@dataclass(frozen=True, slots=True)
class Target:
    """An address that packets are sent to, and what they pass on the way."""

    position: str
    rank: int  # rules passed before the one that matches
    endpoints: int
    address: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Walk:
    """Rules of one size that packets are sent through."""

    mode: str
    services: int
    tools: tuple[str, ...]  # that must be there, beside those that the inputs name
    inputs: tuple[Input, ...]
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Walk:
        """Return the walk that was read."""
        inputs = tuple(Input.of(each) for each in found["inputs"])
        targets = tuple(Target(**each) for each in found["targets"])
        return cls(found["mode"], found["services"], tuple(found["tools"]), inputs, targets)


@dataclass(frozen=True, slots=True)
class Updates:
    """Commands on rules of one size, timed in turn; ``inputs`` come before them and are not timed."""

    mode: str
    services: int
    endpoints: int
    rules: int
    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Updates:
        """Return the updates that was read."""
        numbers = (found["services"], found["endpoints"], found["rules"])
        inputs = tuple(Input.of(each) for each in found["inputs"])
        return cls(found["mode"], *numbers, inputs, tuple(Step.of(each) for each in found["steps"]))


@dataclass(frozen=True, slots=True)
class Plan:
    """All there is to do in so many seconds, the small sizes of each mode first: the last may be left out."""

    walks: tuple[Walk, ...]
    updates: tuple[Updates, ...]
    whole_s: float
    packets_s: float  # of those, for packets

    def to_bytes(self) -> bytes:
        """Return the plan as one line and its texts."""
        texts: dict[str, int] = {}
        line = json.dumps(_each_text(asdict(self), lambda text: texts.setdefault(text, len(texts))))
        encoded = [text.encode() for text in texts]
        return b"\n".join([json.dumps([len(text) for text in encoded]).encode(), line.encode(), b"".join(encoded)])

    @classmethod
    def of(cls, read: bytes) -> Plan:
        """Return the plan that :meth:`to_bytes` wrote."""
        lengths, line, joined = read.split(b"\n", 2)
        ends = list(accumulate(json.loads(lengths), initial=0))
        texts = [joined[begin:end].decode() for begin, end in pairwise(ends)]
        found = _each_text(json.loads(line), lambda n: texts[n])
        walks = tuple(Walk.of(each) for each in found["walks"])
        updates = tuple(Updates.of(each) for each in found["updates"])
        return cls(walks, updates, found["whole_s"], found["packets_s"])


def _each_text(found: Any, change: Callable[[Any], Any]) -> Any:
    """Return the plain values of a plan with every text of an input changed."""
    if isinstance(found, dict):
        return {k: change(v) if k == "text" else _each_text(v, change) for k, v in found.items()}
    if isinstance(found, list | tuple):
        return [_each_text(each, change) for each in found]
    return found
