"""Each given file is opened and parsed here, once, and handed on as one of the types below."""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpsim.collector import resting
from kpsim.documents import Document, decode, load
from kpsim.dumps.evidence.chatter import without_chatter
from kpsim.dumps.evidence.marks import FORMATS, formats_of
from kpsim.dumps.others import LOG, OBJECTS, OtherKind, misprinted, other_kind
from kpsim.errors import InputError, Place, Problem, did_you_mean, nearest
from kpsim.kube.components.configurations import PROXY_CONFIGURATION
from kpsim.kube.reader import kept_of
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.starts.shipped import located, shipped

if TYPE_CHECKING:
    from kpsim.dumps.detection import RuleDump

LOOKED_AT_BYTES = 1 << 16  # from its beginning: no tool prints more before it says what it prints
MOST_FILES = 20_000  # in a folder; beyond this the folder was not meant
KINDS = ("Scenario", "Sweep")
EXAMPLE = f"a scenario begins with apiVersion: {API_VERSION} and kind: Scenario"
EXPECTED = f"or give Kubernetes objects, or what one of these prints: {', '.join(FORMATS)}"
SUFFIXES = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario: its documents, and what stands in the files that it names, once they were looked at."""

    path: Path
    documents: tuple[Document, ...]
    opened: dict[Path, Look] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SweepFile(ScenarioFile):
    """A scenario with a grid of values to run it at."""


@dataclass(frozen=True, slots=True)
class ObjectsFile:
    """Kubernetes objects; in a folder, every document that is not known to be something else.

    Of a large list's items :func:`~kpsim.kube.reader.kept_of` is there.
    """

    path: Path
    documents: tuple[Document, ...]

    def whole(self) -> tuple[Document, ...]:
        """Return the documents with all that was written in them."""
        return load(self.documents[0].source.text, str(self.path))


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A node's rules as a tool printed them."""

    path: Path
    dump: RuleDump


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A file that kpsim takes nothing from, and why; ``beside`` others in a folder that was given, it is no problem."""

    path: Path
    problems: tuple[Problem, ...] = ()
    kind: str = ""
    beside: bool = False


@dataclass(frozen=True, slots=True)
class LogFile(OtherFile):
    """A log of kube-proxy, of which its start is taken: the mode, the words that name it, and the release."""

    mode: str = ""
    said: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationFile(ObjectsFile):
    """Nothing but kube-proxy's configuration."""


File = ScenarioFile | ObjectsFile | RulesFile | OtherFile


@dataclass(frozen=True, slots=True)
class Look:
    """Files and folders that were given together, and each of their files as what it is.

    >>> identify([Path("scenarios/hello.yaml")]).is_sweep
    False
    """

    paths: tuple[Path, ...]
    files: tuple[File, ...]

    @property
    def scenario(self) -> ScenarioFile | None:
        """The scenario or sweep, where one was given and nothing else."""
        only = self.files[0] if len(self.files) == 1 else None
        return only if isinstance(only, ScenarioFile) else None

    @property
    def is_sweep(self) -> bool:
        """Return True if a sweep was given."""
        return isinstance(self.scenario, SweepFile)

    @property
    def dumps(self) -> tuple[RuleDump, ...]:
        """Return the dump of every file with a node's rules."""
        return tuple(file.dump for file in self.files if isinstance(file, RulesFile))

    @property
    def shows_rules(self) -> bool:
        """Return True if a node's rules were given, with nothing beside them that is of no use."""
        return bool(self.dumps) and not any(
            isinstance(file, ScenarioFile)
            or (isinstance(file, OtherFile) and not file.beside and not (isinstance(file, LogFile) and file.mode))
            for file in self.files
        )

    @property
    def name(self) -> str:
        """Return the given paths, for a message."""
        return " ".join(map(str, self.paths))

    def questions(self) -> tuple[Look, ...]:
        """Return each scenario by itself, then everything that shows a cluster together."""
        alone = [file for file in self.files if isinstance(file, ScenarioFile)]
        rest = tuple(file for file in self.files if not isinstance(file, ScenarioFile))
        asked = [Look((file.path,), (file,)) for file in alone]
        named = {file.path for file in alone}
        return (*asked, *([Look(tuple(p for p in self.paths if p not in named), rest)] if rest else []))

    def left_out(self) -> Iterator[str]:
        """A warning about files of folders that nothing is taken from."""
        beside = [file for file in self.files if isinstance(file, OtherFile) and file.beside]
        beside = [file for file in beside if not (isinstance(file, LogFile) and file.mode)]
        if beside:
            kinds = Counter(file.kind or "of no kind that kpsim knows" for file in beside)
            said = "; ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common())
            yield f"files left out: {len(beside):,}, e.g. {beside[0].path}: {said}"


@resting()
def identify(paths: Sequence[str | Path]) -> Look:
    """Look at files and folders (with their subfolders) once; what cannot be read is an :class:`OtherFile`.

    A scenario that comes with kpsim may be given by its name.
    """
    given = tuple(located(Path(path)) for path in paths)
    return Look(given, tuple(file for path in given for file in _files(path)))


def identify_data(data: Mapping[str, object] | Sequence[Mapping[str, object]]) -> Look:
    """Look at plain data as at a JSON file: a scenario with YAML's names, an object of Kubernetes, or a list of them.

    Of a scenario ``apiVersion``, ``kind`` and ``metadata`` may be left out, and ``spec`` where nothing else is given.
    Raises :class:`InputError` for what JSON cannot hold.
    """
    name = "<dict>" if isinstance(data, Mapping) else "<objects>"
    document: dict[str, object] = {"apiVersion": "v1", "kind": "List"}
    if not isinstance(data, Mapping):
        document["items"] = list(data)
    elif data.get("kind", "Scenario") in KINDS:
        whole = {} if {"spec", "kind", "metadata"} & data.keys() else {"spec": dict(data)}
        document = {"apiVersion": API_VERSION, "kind": "Scenario", "metadata": {"name": "scenario"}, **(whole or data)}
    else:
        document = dict(data)
    try:
        raw = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=_plain).encode()
    except (TypeError, ValueError) as error:
        raise InputError([Problem(Place(name), what=f"is not plain data: {error}")]) from None
    return Look((Path(name),), (_file(Path(name), raw),))


def _plain(value: object) -> object:
    """Return a number of numpy's as Python's, and anything with a place among texts as its text."""
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in YAML")


def holds_results(place: Path) -> bool:
    """Return True if ``place`` holds results of kpsim: its manifest says so, not its name alone."""
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and str(manifest.get("apiVersion")).startswith("kpsim/")


def name_of(path: Path) -> str:
    """A name for a scenario or a node after the file it came from."""
    name = path.resolve().name if path.name in ("", ".", "..") else path.name
    for suffix in (".gz", ".json", ".yaml", ".yml", ".txt"):
        name = name.removesuffix(suffix)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).strip("._-")[:100]
    return name or "cluster"


def _files(path: Path) -> Iterator[File]:
    """The file, or those of the folder."""
    try:
        if path.is_dir():
            yield from _folder(path)
            return
        if str(path) == "-" and not path.exists():
            what, mend = "standard input is not read, only files are", "write what it gives into a file"
            yield OtherFile(path, (Problem(Place(), what=what, mend=mend),))
            return
        if path.exists() and not path.is_file():  # a pipe may never end, and a device gives anything for ever
            what, mend = "is a pipe or a device, and only files are read", "write what it gives into a file"
            yield OtherFile(path, (Problem(Place(str(path)), what=what, mend=mend),))
            return
        file = _file(path, path.read_bytes())
    except OSError as error:
        yield OtherFile(path, (Problem(Place(str(path)), what=_why(error), mend=_near(path)),))
    except ValueError:  # a NUL in the name
        yield OtherFile(path, (Problem(Place(), what=f"{str(path)!r} is not the name of a file"),))
    else:
        yield file


def _file(path: Path, raw: bytes) -> File:
    """Return the kind of a file that was given by its name, with its contents."""
    head = _head(raw)
    try:
        if formats_of(head):
            return _rules(path, raw, head, path.name)
        head = without_chatter(head)
        if kind := other_kind(head, begins=True):
            return _other(path, kind, raw)
        text = without_chatter(decode(raw, str(path)))
        del raw  # as large as the text, and no longer needed
        documents = load(text, str(path), kept_of)
    except InputError as error:
        if kind := other_kind(head):
            return _other(path, kind, path.read_bytes())
        if path.name.endswith(SUFFIXES):
            return OtherFile(path, error.problems)
        return OtherFile(path, tuple(replace(problem, mend=problem.mend or EXPECTED) for problem in error.problems[:1]))
    data = [item for each in documents for item in (each.data if isinstance(each.data, list) else [each.data])]
    kinds = [item["kind"] for item in data if isinstance(item, dict) and "kind" in item]
    if any(_is_scenario(document.data) for document in documents):
        return (SweepFile if "Sweep" in kinds else ScenarioFile)(path, documents)
    if kinds:
        return (ConfigurationFile if all(kind == PROXY_CONFIGURATION for kind in kinds) else ObjectsFile)(
            path, documents
        )
    if kind := other_kind(head):
        return _other(path, kind, path.read_bytes())
    mend = EXAMPLE if isinstance(documents[0].data, dict) else f"{EXAMPLE}; {EXPECTED}"
    what = "is neither a scenario nor Kubernetes objects: it has no kind"
    return OtherFile(path, (documents[0].problem((), what, mend),))


def _rules(path: Path, raw: bytes, head: str, label: str) -> File:
    if kind := misprinted(head):
        return _other(path, kind, raw)
    from kpsim.dumps.detection import read_dump  # with a reader for each tool

    return RulesFile(path, read_dump(decode(raw, str(path)), label, name_of(path)))


def _other(path: Path, kind: OtherKind, raw: bytes, *, beside: bool = False) -> OtherFile:
    problems = (Problem(Place(str(path)), what=f"is {kind.name}", mend=kind.instead),)
    if kind is not LOG:
        return OtherFile(path, problems, kind.name, beside)
    from kpsim.dumps.evidence.logs import mode_of_log, version_of_log

    text = decode(raw, str(path))
    return LogFile(path, problems, kind.name, beside, *mode_of_log(text), version_of_log(text))


def _folder(folder: Path) -> Iterator[File]:
    """Every file of a folder and of those below it that holds rules, objects, or is not even text where it should."""
    if holds_results(folder):
        what = f"holds the results of a run; to run it again: kpsim run {folder}/scenario.resolved.yaml"
        yield OtherFile(folder, (Problem(Place(str(folder)), what=what),), "the results of a run")
        return
    entries: list[Path] = []
    for top, below, names in os.walk(folder, onerror=_raise):
        below[:] = [name for name in below if not name.startswith(".")]
        entries += (Path(top, name) for name in names)
        if len(entries) > MOST_FILES:
            what, mend = f"holds more than {MOST_FILES:,} files", "name the files or the folder that are meant"
            yield OtherFile(folder, (Problem(Place(str(folder)), what=what, mend=mend),))
            return
    found = [_beside(path, folder) for path in sorted(entries) if path.is_file()]
    yield from found
    if all(isinstance(file, OtherFile) and file.beside for file in found):
        what = "holds no *.yaml, *.yml or *.json file" if any(folder.iterdir()) else "is an empty directory"
        yield OtherFile(folder, (Problem(Place(str(folder)), what=what, mend=f"fill it: {OBJECTS}"),))


def _raise(error: OSError) -> None:
    raise error


def _beside(path: Path, folder: Path) -> File:
    """Return the kind of a file in a given folder: only one that is named like a document must be one."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LOOKED_AT_BYTES)
            head = _head(raw)
            if formats_of(head):
                return _rules(path, raw + stream.read(), head, str(path.relative_to(folder)))
            if path.name.endswith(SUFFIXES):
                text = without_chatter(decode(raw + stream.read(), str(path)))
                return ObjectsFile(path, load(text, str(path), kept_of))
            if kind := other_kind(head):
                return _other(path, kind, raw + (stream.read() if kind is LOG else b""), beside=True)
    except OSError as error:
        return OtherFile(path, (Problem(Place(str(path)), what=_why(error)),))
    except InputError as error:
        return OtherFile(path, error.problems)
    return OtherFile(path, beside=True)


def _head(raw: bytes) -> str:
    """The beginning of a file as text, unfolded; nothing of it may be wrong enough to stop here."""
    head = raw[:LOOKED_AT_BYTES]
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, LOOKED_AT_BYTES)
        except zlib.error:
            return ""  # whoever reads it in earnest says what is wrong with it
    return head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")


def _is_scenario(data: object) -> bool:
    """Return True if a document is, or was meant to be, a scenario: a spec of ours, no kind of Kubernetes'."""
    if not isinstance(data, dict):
        return False
    if data.get("kind") in KINDS or str(data.get("apiVersion")).startswith("kpsim"):
        return True
    return "spec" in data and ("kind" not in data or bool(did_you_mean(str(data["kind"]), KINDS)))


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file or directory"
    return f"cannot be read: {(error.strerror or type(error).__name__).lower()}"


def _near(path: Path) -> str:
    try:
        missing = not path.exists() and not path.is_symlink()
        there = [entry.name for entry in path.parent.iterdir()] if missing else []
    except OSError:
        return ""
    near = nearest(path.name, there)
    if near:
        return f"did you mean {path.parent / near}?"
    known = nearest(path.name, shipped()) if path.parent == Path() else ""
    return f"did you mean {known}, a scenario that comes with kpsim?" if known else ""
