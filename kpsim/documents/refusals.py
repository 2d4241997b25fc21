"""Texts that are refused as a whole."""

from __future__ import annotations

import re
from typing import NoReturn

from kpsim.documents.source import Source
from kpsim.errors import InputError, Place, Problem

HELM = re.compile(r"\{\{")


def refuse(file: str, what: str, mend: str = "") -> NoReturn:
    """Raise :class:`InputError` about a whole file."""
    raise InputError([Problem(Place(file), what=what, mend=mend)])


def refuse_template(source: Source) -> NoReturn:
    """Raise :class:`InputError` about a template of Helm's that was not rendered."""
    match = HELM.search(source.text)
    place = source.place_at(match.start() if match else 0)
    what = "looks like a template, not like a manifest"
    mend = "render it first: helm template CHART > manifests.yaml"
    raise InputError([Problem(place, what=what, mend=mend, text=source.excerpt(place))])
