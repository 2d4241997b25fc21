"""A plan says what to time: inputs of tools, addresses of packets, sizes; as JSON it goes to the process that does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Input:
    """A tool's command line and the text it is given."""

    command: tuple[str, ...]
    text: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Input:
        """Return the input that JSON said."""
        return cls(tuple(found["command"]), found["text"])


@dataclass(frozen=True, slots=True)
class Step:
    """One command that is timed, called ``quantity``; ``undo`` makes the tables what they were, and is not timed."""

    quantity: str
    run: Input
    undo: Input | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Step:
        """Return the step that JSON said."""
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
    inputs: tuple[Input, ...]
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Walk:
        """Return the walk that JSON said."""
        inputs = tuple(Input.of(each) for each in found["inputs"])
        return cls(found["mode"], found["services"], inputs, tuple(Target(**each) for each in found["targets"]))


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
        """Return the updates that JSON said."""
        numbers = (found["services"], found["endpoints"], found["rules"])
        inputs = tuple(Input.of(each) for each in found["inputs"])
        return cls(found["mode"], *numbers, inputs, tuple(Step.of(each) for each in found["steps"]))


@dataclass(frozen=True, slots=True)
class Plan:
    """All there is to do, the small sizes of each mode first: what comes last is left out where time is short."""

    walks: tuple[Walk, ...]
    updates: tuple[Updates, ...]
    packets_s: float  # for a mode
    commands_s: float  # for a mode

    def to_json(self) -> str:
        """Return the plan as text."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Plan:
        """Return the plan that a text says."""
        found = json.loads(text)
        walks = tuple(Walk.of(each) for each in found["walks"])
        updates = tuple(Updates.of(each) for each in found["updates"])
        return cls(walks, updates, found["packets_s"], found["commands_s"])
