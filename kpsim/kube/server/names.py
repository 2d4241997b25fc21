"""Kubernetes has rules for names: labels, subdomains, qualified names, port names, and an object's metadata.

Each ``*_reasons`` gives every reason why a text is none, in the server's words; an empty list where it is one.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go, pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from kpsim.documents import Key
from kpsim.kube.fields import Fault
from kpsim.kube.server.refusals import TOO_LONG, forbidden, invalid_for_each, required

LONGEST_LABEL, LONGEST_SUBDOMAIN, LONGEST_PORT_NAME = 63, 253, 15
MOST_ANNOTATION_BYTES = 256 << 10

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_OLD_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ENDS = "and must start and end with an alphanumeric character"

REMEMBERED = 1 << 12  # texts a rule: names of nodes and applications, keys of labels come again and again

Reasons = Callable[[str], tuple[str, ...]]


@lru_cache(REMEMBERED)
def label_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons why a text is no DNS-1123 label."""
    reasons = _too_long(text, LONGEST_LABEL)
    if not _LABEL.fullmatch(text):
        if _SUBDOMAIN.fullmatch(text):
            return (*reasons, "must not contain dots")
        why = f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}"
        reasons.append(f"{why} (e.g. 'my-name', or '123-abc')")
    return tuple(reasons)


@lru_cache(REMEMBERED)
def old_label_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons why a text is no DNS-1035 label, which starts with a letter."""
    reasons = _too_long(text, LONGEST_LABEL)
    if not _OLD_LABEL.fullmatch(text):
        why = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic"
        reasons.append(f"{why} character, and end with an alphanumeric character (e.g. 'my-name', or 'abc-123')")
    return tuple(reasons)


@lru_cache(REMEMBERED)
def subdomain_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons why a text is no DNS-1123 subdomain."""
    reasons = _too_long(text, LONGEST_SUBDOMAIN)
    if not _SUBDOMAIN.fullmatch(text):
        why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        reasons.append(f"{why}, {_ENDS} (e.g. 'example.com')")
    return tuple(reasons)


def domain_reasons(text: str) -> tuple[str, ...]:
    """Why a text is no fully qualified domain name; the first reason only, as the server gives it."""
    text = text.removesuffix(".")
    if reasons := subdomain_reasons(text):
        return (",".join(reasons),)
    if "." not in text:
        return ("should be a domain with at least two segments separated by dots",)
    return tuple(",".join(found) for label in text.split(".") if (found := label_reasons(label)))[:1]


@lru_cache(REMEMBERED)
def qualified_reasons(text: str) -> tuple[str, ...]:
    """Why a text is no qualified name, ``[prefix/]name``: the key of a label, a protocol's or a class's name."""
    *prefixes, name = text.split("/")
    charset = f"must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"
    examples = "(e.g. 'MyName', or 'my.name', or '123-abc')"
    if len(prefixes) > 1:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a qualified name {charset} {examples} {optional}",)
    reasons = []
    for prefix in prefixes:
        found = subdomain_reasons(prefix) if prefix else ("must be non-empty",)
        reasons += [f"prefix part {why}" for why in found]
    if not name:
        reasons.append("name part must be non-empty")
    reasons += [f"name part {why}" for why in _too_long(name, LONGEST_LABEL)]
    if not _QUALIFIED.fullmatch(name):
        reasons.append(f"name part {charset} {examples}")
    return tuple(reasons)


@lru_cache(REMEMBERED)
def label_value_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons why a text is no value of a label."""
    reasons = _too_long(text, LONGEST_LABEL)
    if text and not _QUALIFIED.fullmatch(text):
        why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
        reasons.append(f"{why}, {_ENDS} (e.g. 'MyValue', or 'my_value', or '12345')")
    return tuple(reasons)


@lru_cache(REMEMBERED)
def port_name_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons why a text is no name of a container's port."""
    reasons = _too_long(text, LONGEST_PORT_NAME)
    if not re.fullmatch(r"[-a-z0-9]+", text):
        reasons.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        reasons.append("must contain at least one letter (a-z)")
    if "--" in text:
        reasons.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        reasons.append("must not begin or end with a hyphen")
    return tuple(reasons)


def _too_long(text: str, most: int) -> list[str]:
    longest = len(text) if text.isascii() else len(text.encode())
    return [f"must be no more than {most} characters"] if longest > most else []


def labels_faults(labels: Mapping[str, str], key: Key) -> Iterator[Fault]:
    """Yield the faults of labels or a selector; the place is the entry, the field the whole mapping."""
    for name, value in labels.items():
        if not qualified_reasons(name) and not label_value_reasons(value):
            continue
        for fault in (
            *invalid_for_each((*key, name), name, qualified_reasons(name)),
            *invalid_for_each((*key, name), value, label_value_reasons(value)),
        ):
            yield _at(fault, key)


def metadata_faults(
    metadata: Mapping[str, Any], name_reasons: Reasons, *, namespaced: bool = True, update: bool = False
) -> Iterator[Fault]:
    """Yield the faults of an object's metadata; an update keeps the name it has."""
    key: Key = ("metadata",)
    name, generated = metadata.get("name") or "", metadata.get("generateName") or ""
    if not update:
        yield from invalid_for_each((*key, "generateName"), generated, _of_prefix(generated, name_reasons))
        if not name and not generated:
            yield required((*key, "name"), "name or generateName is required")
        elif name:
            yield from invalid_for_each((*key, "name"), name, name_reasons(name))
        namespace = metadata.get("namespace") or ""
        if namespaced:
            yield from invalid_for_each((*key, "namespace"), namespace, label_reasons(namespace or "default"))
        elif namespace:
            yield forbidden((*key, "namespace"), "not allowed on this type")
    yield from labels_faults(metadata.get("labels") or {}, (*key, "labels"))
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    at = (*key, "annotations")
    for one in annotations:
        for fault in invalid_for_each((*at, one), one, qualified_reasons(one.lower())):
            yield _at(fault, at)
    if sum(len(one.encode()) + len(value.encode()) for one, value in annotations.items()) > MOST_ANNOTATION_BYTES:
        yield Fault(at, f"Too long: may not be more than {MOST_ANNOTATION_BYTES} bytes", kind=TOO_LONG)


def _of_prefix(generated: str, reasons: Reasons) -> tuple[str, ...]:
    """A name to be completed may end in a hyphen."""
    return reasons(f"{generated[:-1]}a" if generated.endswith("-") else generated) if generated else ()


def _at(fault: Fault, key: Key) -> Fault:
    return Fault(fault.key, fault.what, fault.mend, fault.on_key, fault.kind, ".".join(map(str, key)))
