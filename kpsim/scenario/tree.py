"""A scenario's document as plain data, with overrides set into it, that knows where each part came from.

Overrides (``--set services.small.count=100``) change the document before anything is checked, so a value on the
command line is held to the same rules, and a complaint about it names the option instead of a line of the file.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kpsim.documents import Document, Key, dotted, load
from kpsim.errors import InputError, Place, Problem, did_you_mean

if TYPE_CHECKING:
    from kpsim.scenario.kinds import Look

ALIASES = {"proxy": "kubeProxy"}
TOP = ("metadata", "spec", "apiVersion", "kind")
TEXTS = (("spec", "kubernetes", "version"), ("metadata", "name"), ("metadata", "description"))
MODE = ("spec", "kubeProxy", "mode")
MODES_COMPARED = ("spec", "compare", "modes")
EVERY_LIST = (MODES_COMPARED, ("spec", "importFrom"))
_INDEX = re.compile(r"\[(\d{1,8})\]")  # services[0], as messages say it, is services.0


class Tree:
    """Plain data under a name; from a document, with parts of other documents mounted and overrides set."""

    def __init__(
        self,
        file: str,
        data: dict[str, object],
        document: Document | None = None,
        opened: dict[Path, Look] | None = None,
    ) -> None:
        self.file = file
        self.data = data
        self.opened = {} if opened is None else opened  # what was read of files that the document names
        self.problems: list[Problem] = []
        self._document = document
        self._mounts: dict[Key, tuple[Document, Key]] = {}
        self._overrides: dict[Key, str] = {}

    @classmethod
    def of(cls, document: Document, opened: dict[Path, Look]) -> Tree:
        """A tree of a scenario document, which stays as it is; trees of one document share what they ``opened``."""
        data = document.data if isinstance(document.data, dict) else {}
        return cls(document.file, copy.deepcopy(data), document, opened)

    def mount(self, key: Key, document: Document, at: Key = ()) -> None:
        """Let what stands under ``key`` be found in another document."""
        self._mounts[key] = (document, at)

    def given(self, key: Key) -> bool:
        """Return True if anything but ``null`` stands under ``key``."""
        return self.at(key) is not None

    def at(self, key: Key) -> object:
        """Return the value under ``key``; ``None`` without one."""
        value: object = self.data
        for part in key:
            if isinstance(value, dict) and isinstance(part, str):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def problem(self, key: Key, what: str, mend: str = "", *, on_key: bool = False) -> Problem:
        """Return a problem with what stands under ``key``, placed in the option, file and line it came from."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._overrides:
                return Problem(Place(self._overrides[key[:length]]), dotted(key), what, mend)
            if key[:length] in self._mounts:
                document, at = self._mounts[key[:length]]
                return document.problem((*at, *key[length:]), what, mend, on_key=on_key)
        if self._document is not None:
            return self._document.problem(key, what, mend, on_key=on_key)
        return Problem(Place(self.file), dotted(key), what, mend)

    def written(self, key: Key) -> str | None:
        """Return the scalar under ``key`` as it was typed in the file."""
        return self._document.written(key) if self._document is not None else None

    def override(self, settings: Sequence[tuple[str, str]]) -> None:
        """Set every ``path=value``; what cannot be set becomes a problem."""
        for path, text in settings:
            option = f"--set {path}={text}"
            try:
                key = self._key(path, option)
                self._set(key, _value(key, text, option), option)
            except InputError as error:
                self.problems += error.problems
        if MODE in self._overrides and MODES_COMPARED not in self._overrides and self.given(MODE):
            self._set(MODES_COMPARED, [self.at(MODE)], self._overrides[MODE])

    def _key(self, path: str, option: str) -> Key:
        """Return the key a dotted path means: relative to ``spec``, list items by their name."""
        parts = _INDEX.sub(r".\1", path.strip()).split(".")
        if not all(parts):
            raise _refused(option, f"{path!r} is not a dotted path", "write e.g. services.small.count=100")
        parts[0] = ALIASES.get(parts[0], parts[0])
        key: Key = () if parts[0] in TOP else ("spec",)
        for index, part in enumerate(parts):
            value = self.at(key)
            if isinstance(value, list):
                key = self._item(key, value, part, option, last=index == len(parts) - 1)
            else:
                key = (*key, part)
        return key

    def _item(self, key: Key, items: list[object], part: str, option: str, *, last: bool) -> Key:
        """Return the item of a list that a part of a path names, or a field of the only one (``services.count``)."""
        names = [_name(item) for item in items]
        if part in names:
            return (*key, names.index(part))
        if part.isdecimal() and len(part) < 9 and int(part) < len(items):
            return (*key, int(part))
        if last and len(items) == 1:
            return (*key, 0, part)
        known = [name for name in names if name]
        what = f"nothing in {dotted(key)} is called {part!r}"
        mend = did_you_mean(part, known, f"there are {', '.join(known)}" if known else "it is empty")
        raise _refused(option, what, mend)

    def _set(self, key: Key, value: object, option: str) -> None:
        here: object = self.data
        for index, part in enumerate(key[:-1]):
            below = here[part] if isinstance(here, list) and isinstance(part, int) else None
            if isinstance(here, dict):
                below = here.get(str(part))
                if below is None:
                    below = here[str(part)] = {}
                    self._overrides.setdefault(key[: index + 1], option)
            if not isinstance(below, dict | list):
                raise _refused(option, f"{dotted(key[: index + 1])} is not a mapping, so it has no {key[index + 1]}")
            here = below
        if isinstance(here, dict):
            here[str(key[-1])] = value
        elif isinstance(here, list) and isinstance(key[-1], int):
            here[key[-1]] = value
        self._overrides[key] = option


def _name(item: object) -> str:
    if not isinstance(item, dict):
        return ""
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else item.get("name", item.get("preset"))
    return name if isinstance(name, str) else ""


def _value(key: Key, text: str, option: str) -> object:
    """Return the value an option's text means: as in YAML, but a text where the key wants text."""
    if not text.strip():
        raise _refused(option, "there is no value", "to take the default, write null")
    if text.strip() in ("null", "~"):
        return None
    if key in TEXTS:
        return text
    if key in EVERY_LIST and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",")]
    try:
        documents = load(text, option)
    except InputError:
        return text
    traps = documents[0].traps()
    if traps:
        raise InputError([Problem(Place(option), "", trap.what, trap.mend) for trap in traps])
    value = documents[0].data
    return text if isinstance(value, dict) and not text.lstrip().startswith("{") else value


def _refused(option: str, what: str, mend: str = "") -> InputError:
    return InputError([Problem(Place(option), "", what, mend)])
