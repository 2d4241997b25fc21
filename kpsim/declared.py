"""A key of a scenario is declared once: beside the field that holds it.

A parameter class is a dataclass whose fields are ``Annotated[type, Declared(text)]``.  The field's name gives the key
(``packet_interval_s`` is ``packetInterval``, a duration), its type what may stand there, its default what is taken
where nothing does; :mod:`kpsim.scenario.keys` reads, writes and documents all of them alike.  A field that is not
declared is none of a scenario's.  This module must not know how a scenario is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SPREAD = "spread"  # as a key: the fields of the value stand beside the others, not below a key of their own


@dataclass(frozen=True, slots=True)
class Form:
    """A form says how a value is written where its type alone does not.

    ``on`` is the type that is read first; ``read`` makes the value of it and raises :class:`~kpsim.units.UnitError`;
    ``write`` undoes that, and returns ``None`` for what is left out (or, of a dataclass, written as a mapping).
    """

    on: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], object]
    unit: str  # e.g. "a range of ports, e.g. 30000-32767"


@dataclass(frozen=True, slots=True)
class Group:
    """A mapping in the file around some fields of one dataclass."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Declared:
    """A field is declared by its meaning and by all that its type, name and default do not say about its key.

    A number is at least 0 unless it says otherwise; of a list, ``at_least`` is the number of items.
    """

    text: str
    at_least: float = 0
    at_most: float | None = None
    more_than: float | None = None
    key: str = ""  # where the field's name does not give it
    group: Group | None = None
    form: Form | None = None
    instead_of: str = ""  # another field: where that one is set, this one is not written
    otherwise: str = ""  # what is taken where the default is None, for people
    required: bool = False  # in a file, although the class has a default
    alone: bool = False  # a list of one may be written as its item
    choose: Callable[[object], type] | None = None  # the class to read a value as, where there are several
