"""YAML is composed into nodes, which know where they stand, and turned into plain data."""

from __future__ import annotations

import re

import yaml

from kpsim.documents.document import Document, Early, as_it_is
from kpsim.documents.nodes import MAX_DEPTH, Builder, Nodes
from kpsim.documents.pieces import LOADER, cut
from kpsim.documents.refusals import HELM, refuse, refuse_template
from kpsim.documents.source import Source
from kpsim.errors import InputError, Place, Problem

_BRACKET = re.compile(r"[\[\]{}]")


def load_yaml(source: Source, early: Early = as_it_is) -> tuple[Document, ...]:
    """Return the documents of a YAML text that are not empty; a large text is read in pieces where that is safe."""
    _check_depth(source)
    built = [(piece.build(early), piece) for piece in cut(source) or ()]
    if built and all(data is not None for data, _ in built):
        return tuple(Document(source, data, piece) for data, piece in built)
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        loader = LOADER(source.text)
        while loader.check_node():
            node = loader.get_node()
            builder = Builder(source)
            data = builder.build(node)
            problems += builder.problems
            if data is not None:
                documents.append(Document(source, data, Nodes(node, source)))
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        if HELM.search(source.text):
            refuse_template(source)
        raise InputError([*problems, _syntax_problem(error, source)]) from None
    if problems:
        if re.search(r"[:\-]\s*\{\{", source.text):
            refuse_template(source)
        raise InputError(problems)
    return tuple(documents)


def _syntax_problem(error: Exception, source: Source) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    if mark is not None:
        place = Place(source.file, mark.line + 1, mark.column + 1)
    elif isinstance(position, int):
        place = source.place_at(min(position, len(source.text)))
    else:
        place = Place(source.file)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    context = getattr(error, "context", None)
    tab = "tab" in str(reason) or (mark is not None and source.at(place) == "\t")
    mend = "indent with spaces, not tabs" if tab else ""
    what = f"is not YAML: {context}, {reason}" if context else f"is not YAML: {reason}"
    return Problem(place, what=what, mend=mend, text=source.excerpt(place))


def _check_depth(source: Source) -> None:
    """Refuse a text nested too deeply before the composer, which recurses in C, meets it."""
    if _surely_shallow(source.text):
        return
    depth = 0
    try:
        for event in yaml.parse(source.text, Loader=LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                refuse(source.file, f"is nested more than {MAX_DEPTH} levels deep")
    except (yaml.YAMLError, UnicodeEncodeError):
        return  # the composer meets the same error before it is too deep, and reports it


def _surely_shallow(text: str) -> bool:
    """Return True if more levels than the text can have are few: brackets open at once, and two a column of indent."""
    deepest = depth = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    columns = max(4 * MAX_DEPTH - deepest, -1) // 2
    return columns >= 0 and re.search(rf"^[ \-?:]{{{columns + 1}}}", text, re.MULTILINE) is None
