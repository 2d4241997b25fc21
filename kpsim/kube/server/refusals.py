"""The API server's ways of saying no, as :class:`Fault`, each with the server's own word for its kind.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kpsim.documents import Key
from kpsim.errors import did_you_mean
from kpsim.kube.fields import Fault

INVALID = "FieldValueInvalid"
REQUIRED = "FieldValueRequired"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
NOT_SUPPORTED = "FieldValueNotSupported"
TOO_MANY = "FieldValueTooMany"
TOO_LONG = "FieldValueTooLong"

LAST_PORT = 65535
IN_RANGE = f"must be between 1 and {LAST_PORT}, inclusive"


def shown(value: object) -> str:
    """Return a value as Kubernetes prints it, text in quotes and not too long; a list as the JSON it is."""
    if isinstance(value, str):
        return '"' + (value if len(value) <= 60 else value[:57] + "...") + '"'
    if value is None:
        return "null"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(shown, value)) + "]"
    return str(value)


def invalid(key: Key, value: object, why: str, mend: str = "", path: str = "") -> Fault:
    """``Invalid value``, and why."""
    return Fault(key, f"Invalid value: {shown(value)}: {why}", mend, kind=INVALID, path=path)


def required(key: Key, why: str = "", mend: str = "") -> Fault:
    """``Required value``, where there is none."""
    return Fault(key, f"Required value: {why}" if why else "Required value", mend, kind=REQUIRED)


def duplicate(key: Key, value: object) -> Fault:
    """``Duplicate value``: another of the same list has it."""
    return Fault(key, f"Duplicate value: {shown(value)}", kind=DUPLICATE)


def forbidden(key: Key, why: str, mend: str = "", path: str = "") -> Fault:
    """``Forbidden``, and why; the key itself is what is wrong."""
    return Fault(key, f"Forbidden: {why}", mend, kind=FORBIDDEN, path=path)


def too_many(key: Key, number: int, most: int) -> Fault:
    """``Too many``: a list longer than it may be."""
    return Fault(key, f"Too many: {number}: must have at most {most} items", kind=TOO_MANY)


def invalid_for_each(key: Key, value: str, reasons: Iterable[str], mend: str = "") -> Iterator[Fault]:
    """``Invalid value``, once a reason."""
    for why in reasons:
        yield invalid(key, value, why, mend)


def choice_faults(value: str, allowed: Sequence[str], key: Key) -> Iterator[Fault]:
    """``Unsupported value`` for what is not one of ``allowed``."""
    if value not in allowed:
        supported = ", ".join(f'"{word}"' for word in allowed)
        what = f"Unsupported value: {shown(value)}: supported values: {supported}"
        yield Fault(key, what, did_you_mean(value, allowed), kind=NOT_SUPPORTED)
