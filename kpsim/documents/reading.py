"""Bytes to text, and text to documents."""

from __future__ import annotations

import gzip
import io
import zlib

from kpsim.documents.document import Document, Early, as_it_is
from kpsim.documents.json_text import load_json
from kpsim.documents.refusals import refuse
from kpsim.documents.source import Source
from kpsim.documents.yaml_text import load_yaml
from kpsim.errors import InputError, Place, Problem

MAX_TEXT_BYTES = 1 << 30  # a limit on everything: what a small compressed file may unfold to


def decode(raw: bytes, file: str) -> str:
    """Text from bytes: UTF-8 or UTF-16 with or without a byte-order mark, gzip or not.

    Raises
    ------
    InputError
        if it is not text.
    """
    if raw[:2] == b"\x1f\x8b":
        raw = _gunzip(raw, file)
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        refuse(file, f"is not text: byte {error.start} on line {line} is not {encoding[:6].upper().rstrip('-')}")
    if "\0" in text:
        refuse(file, "is not text: it contains NUL characters", "give YAML or JSON, as kubectl get -o json prints it")
    return text


def load(text: str, file: str, early: Early = as_it_is) -> tuple[Document, ...]:
    """Return every document of a text, in order; empty ones (only comments) are left out.

    ``early`` is applied to each of the ``items`` of a large document as soon as it is read, so that not all need be
    held at once.

    Raises
    ------
    InputError
        with every syntax error and duplicate key.
    """
    source = Source(file, text)
    if not text.strip():
        raise InputError([Problem(Place(file), what="is empty")])
    if text.lstrip()[0] in "{[":
        documents = load_json(source, early)
        if documents is not None:
            return documents
    documents = load_yaml(source, early)
    if not documents:
        raise InputError([Problem(Place(file), what="is empty: nothing but comments")])
    return documents


def _gunzip(raw: bytes, file: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            text = stream.read(MAX_TEXT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        refuse(file, f"is a damaged gzip file: {error}")
    if len(text) > MAX_TEXT_BYTES:
        refuse(file, f"unfolds to more than {MAX_TEXT_BYTES >> 20} MiB")
    return text
