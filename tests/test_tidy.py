"""The house rules, asked of the code itself; a breach reads ``file:line: X is banned, use Y``.

Each rule is a generator over one parsed module, and each has a snippet in ``BREACHES`` that it must catch, so that a
rule which has stopped looking is noticed.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MODULE_LINES, MEDIAN_LINES, FUNCTION_LINES, FOLDER_MODULES = 400, 200, 60, 10
TOP_FOLDERS = {"kpsim", "scenarios", "notebooks", "results", "tests"}

BANNED_NAMES = {"base", "common", "handler", "handlers", "helper", "helpers", "manager", "managers", "util", "utils"}
KUBERNETES_NOUNS = re.compile("ControllerManager|controller_manager")  # Kubernetes' own names stay as they are spelt

RIDDLES = re.compile(
    r"^(?:What|Who|Whose|Whether|Where|How|Those|That|When|Which)\b|\b(?:somebody|someone|who comes|what is said)\b",
    re.IGNORECASE,
)

FILE_ROOMS = ("scenario", "documents", "profiles", "experiment", "calibration", "report", "cli")
FILE_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}

TIME_WORDS = {"delay", "duration", "interval", "latency", "period", "time", "timeout", "wait"}
TIME_UNITS = {"s", "ns", "us", "ms"}


@dataclass(frozen=True)
class Module:
    """A source file: its dotted name below kpsim ("" for kpsim itself), its text and its tree."""

    path: Path
    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @cached_property
    def exports(self) -> list[str] | None:
        """What ``__all__`` lists, or None without one."""
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
        return None

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def stands_in(self, *rooms: str) -> bool:
        return any(self.name == room or self.name.startswith(f"{room}.") for room in rooms)


def load(path: Path) -> Module:
    parts = list(path.relative_to(ROOT / "kpsim").with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return Module(path, ".".join(parts), path.read_text(encoding="utf-8"))


MODULES = [load(path) for path in sorted((ROOT / "kpsim").rglob("*.py"))]
Finding = tuple[int, str]
Rule = Callable[[Module], Iterator[Finding]]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)


def module_size(module: Module) -> Iterator[Finding]:
    lines = module.text.count("\n")
    if lines > MODULE_LINES:
        yield 1, f"a module of {lines} lines is banned, use one a concept, at most {MODULE_LINES}"


def function_size(module: Module) -> Iterator[Finding]:
    for node in ast.walk(module.tree):
        if isinstance(node, FUNCTIONS):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name}() of {lines} lines is banned, use steps of at most {FUNCTION_LINES}"


def words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", KUBERNETES_NOUNS.sub("", name))
    return {word for word in spaced.lower().split("_") if word}


def names(module: Module) -> Iterator[Finding]:
    own = module.name.rpartition(".")[2]
    named = [(1, own)] + [(n.lineno, n.name) for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef)]
    for line, name in named:
        for word in sorted(words(name) & BANNED_NAMES):
            yield line, f"the name {name} ({word}) is banned, use the noun for what it is or does"


def docstrings(module: Module) -> Iterator[Finding]:
    if not ast.get_docstring(module.tree):
        yield 1, "a module without a docstring is banned, use one that says what it models and what it leaves out"
    for node in module.tree.body:
        if isinstance(node, DEFINITIONS) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.lineno, f"{node.name} without a docstring is banned, use a sentence about the world"


def first_lines(module: Module) -> Iterator[Finding]:
    """A first line states a fact and names what is returned: it does not open as a question or a riddle does."""
    for node in ast.walk(module.tree):
        if not isinstance(node, (ast.Module, *DEFINITIONS)):
            continue
        found = RIDDLES.search((ast.get_docstring(node) or "").partition("\n")[0])
        if found:
            yield (
                getattr(node, "lineno", 1),
                f"a first line with {found[0]!r} is banned, use a subject, a verb and what is returned",
            )


def defined(module: Module) -> set[str]:
    """Every name a module binds at its top level, in branches of ``if`` and ``try`` as well."""
    found: set[str] = set()
    todo: list[ast.AST] = list(module.tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, DEFINITIONS):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        else:
            todo += ast.iter_child_nodes(node)
    return found


def exports(module: Module) -> Iterator[Finding]:
    """A package's front lists what it offers; other modules need no list: what has no underscore is public."""
    if module.exports is None:
        return
    if not module.is_package:
        yield 1, "__all__ in a module is banned, use an underscore for what is private"
    there = defined(module)
    lazy = "__getattr__" in there  # then tests/test_api.py asks whether the names exist
    for name in module.exports:
        if name not in there and not lazy:
            yield 1, f"__all__ naming {name}, which is not there, is banned, use the name of something defined"
    for name, count in Counter(module.exports).items():
        if count > 1:
            yield 1, f"{name} twice in __all__ is banned, use it once"


def imports(module: Module) -> Iterator[Finding]:
    """Rooms talk through public names, and a name is imported from the module that defines it or from a front."""
    known = {m.name: m for m in MODULES}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("kpsim"):
            continue
        source = known.get((node.module or "").removeprefix("kpsim").removeprefix("."))
        for alias in node.names:
            is_module = source and f"{source.name}.{alias.name}".lstrip(".") in known
            if source and not is_module and not alias.name.startswith("__") and alias.name not in offered(source):
                yield node.lineno, f"{alias.name} from {node.module} is banned, use a public name where it is defined"


def offered(module: Module) -> set[str]:
    """The public names a module defines itself; a package's front may list those it imports."""
    if module.exports is not None:
        return set(module.exports)
    found = {name for name in defined(module) if not name.startswith("_")}
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom):
            found -= {alias.asname or alias.name for alias in node.names}
    return found


def printing(module: Module) -> Iterator[Finding]:
    if not module.stands_in("cli"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield node.lineno, "print() is banned, use a returned value; kpsim.cli writes it"


def files(module: Module) -> Iterator[Finding]:
    if module.stands_in(*FILE_ROOMS):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in FILE_CALLS:
                yield node.lineno, f"{name}() is banned here, use text handed in by {', '.join(FILE_ROOMS)}"


def numbers(module: Module) -> Iterator[Finding]:
    """A float that looks like what something costs, outside the profiles; a tolerance says so in its name."""
    if module.stands_in("profiles", "units"):
        return
    tolerated = {
        child
        for node in module.tree.body
        if isinstance(node, ast.Assign) and "TOLERANCE" in ast.unparse(node.targets[0])
        for child in ast.walk(node.value)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and node not in tolerated:
            prefix = module.stands_in("report") and node.value in (1e-9, 1e-6)  # n and µ, chosen there and only there
            if 1e-10 < abs(node.value) < 1e-4 and not prefix:
                yield node.lineno, f"the literal {node.value!r} is banned, use a profile with a source, or kpsim.units"


def units(module: Module) -> Iterator[Finding]:
    """A field or an argument that holds a bare number of time has its unit last in its name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and not node.bases:  # pydantic's models have the names profiles use
            held = [(n.lineno, ast.unparse(n.target), n.annotation) for n in node.body if isinstance(n, ast.AnnAssign)]
        elif isinstance(node, FUNCTIONS):
            arguments = (*node.args.args, *node.args.kwonlyargs)
            held = [(a.lineno, a.arg, a.annotation) for a in arguments if a.annotation]
        else:
            continue
        for line, name, annotation in held:
            written = re.sub(r"^Annotated\[(.*?), .*", r"\1", ast.unparse(annotation), flags=re.DOTALL)
            number = written.removesuffix(" | None") in ("float", "int")
            parts = set(name.lower().split("_"))
            if number and TIME_WORDS & parts and not TIME_UNITS & parts:
                yield line, f"{name} without its unit is banned, use {name}_s (or _ns)"


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        module_size, function_size, names, docstrings, first_lines, exports, imports, printing, files, numbers, units,
    )
}  # fmt: skip

BREACHES = {
    "module_size": "x = 1\n" * (MODULE_LINES + 1),
    "function_size": "def f():\n" + "    x = 1\n" * FUNCTION_LINES,
    "names": "class PodManager: ...\n",
    "docstrings": "def f():\n    return 1\n",
    "first_lines": 'def f():\n    """Whether it is so, or what is said of it."""\n',
    "exports": '__all__ = ["f"]\ndef f(): ...\n',
    "imports": "from kpsim.theory import _blocked\n",
    "printing": "print(1)\n",
    "files": "path.read_text()\n",
    "numbers": "cost = 5.7e-9\n",
    "units": "class Probe:\n    timeout: float\n",
}


@pytest.mark.parametrize("rule", RULES)
def test_code_keeps_the_rule(rule: str) -> None:
    found = [f"{m.path.relative_to(ROOT)}:{line}: {what}" for m in MODULES for line, what in RULES[rule](m)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", RULES)
def test_rule_catches_its_breach(rule: str) -> None:
    breach = Module(ROOT / "kpsim/cluster/breach.py", "cluster.breach", BREACHES[rule])
    assert list(RULES[rule](breach))


def test_names_of_kubernetes_are_not_ours_to_change() -> None:
    source = "class ControllerManagerParams: ...\nclass DatabaseOfPods: ...\n"
    assert not list(names(Module(ROOT / "kpsim/x.py", "x", source)))


def test_median_module_is_short(record_property: Callable[[str, object], None]) -> None:
    median = statistics.median(module.text.count("\n") for module in MODULES)
    record_property("median_module_lines", median)
    print(f"{len(MODULES)} modules, median {median:g} lines")
    assert median <= MEDIAN_LINES


def test_folders_are_small() -> None:
    count = Counter(m.path.parent for m in MODULES if m.path.name not in ("__init__.py", "__main__.py"))
    del count[ROOT / "kpsim/cli"]  # one short file a command, and there are as many as there are commands
    full = {folder.relative_to(ROOT): n for folder, n in count.items() if n > FOLDER_MODULES}
    assert not full, "\n".join(
        f"{folder}:1: {n} modules in a folder is banned, use rooms" for folder, n in full.items()
    )


# ── The repository ───────────────────────────────────────────────────────────────────────────────────────────────────

# Written with one letter in brackets, so that this file does not contain what it looks for.
PATHS = r"/wor[k]/|/far[m]/|/roo[t]/|/home/[a-z]+[/]|/tm[p]/[a-z_]*(?:jobs|studio)"
SOURCES = r"\.\./share[d]\b|\bshare[d]/(?:design|reference|hooks)"
INDEXES = r"index-ur[l]|extra-inde[x]|find-link[s]|simple/?\s*=\s*http[s]?|file:///op[t]|pypi\.or[g]|pythonhoste[d]"
TALK = (
    r"(?:in|from|by|of) (?:this|another|the (?:last|next|previous)|an earlier|a later) sessio[n]\b"
    r"|co-builde[r]|sub-?agen[t]\b|language mode[l]\b|before-sto[p]|DEVELOPER[S]\.md"
)
FOREIGN = {
    PATHS: "a path inside the repository",
    SOURCES: "a source that a stranger can find",
    INDEXES: "names and versions only",
    TALK: "a fact about the code",
}
FOREIGN_EXAMPLES = {  # without the bar
    PATHS: "/wo|rk/main/kpsim",
    SOURCES: "../sha|red/reference",
    INDEXES: "--extra-ind|ex-url",
    TALK: "found in an earlier| session",
}


@pytest.mark.parametrize("pattern", FOREIGN, ids=["paths", "sources", "indexes", "talk"])
def test_foreign_words_are_caught(pattern: str) -> None:
    assert re.search(pattern, FOREIGN_EXAMPLES[pattern].replace("|", ""))


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Files that are in the repository or would be added to it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there are no tracked files")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [Path(name) for name in listed if name and (ROOT / name).is_file()]


def test_top_level_folders_are_the_agreed_ones(tracked: list[Path]) -> None:
    there = {path.parts[0] for path in tracked if len(path.parts) > 1 and not path.parts[0].startswith(".")}
    assert there == TOP_FOLDERS


@pytest.mark.parametrize("pattern", FOREIGN, ids=["paths", "sources", "indexes", "talk"])
def test_no_foreign_words(pattern: str, tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a table in binary
        for match in re.finditer(pattern, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path}:{line}: {match[0]!r} is banned, use {FOREIGN[pattern]}")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("letter", ["A", "D"])
def test_design_numbers_its_entries_once_and_in_order(letter: str) -> None:
    listed = [int(n) for n in re.findall(rf"^- \*\*{letter}(\d+)\*\*", design(), re.MULTILINE)]
    assert listed == list(range(1, len(listed) + 1))


def test_assumptions_in_the_code_are_those_in_the_design() -> None:
    """Every ``[A7]`` in a comment, docstring, profile or scenario is explained, and every explained one is used."""
    used: dict[str, str] = {}
    for path in sorted([*(ROOT / "kpsim").rglob("*"), *(ROOT / "scenarios").rglob("*")]):
        if path.suffix in (".py", ".yaml"):
            for line, text in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
                for number in re.findall(r"\[(A\d+)\]", text):
                    used.setdefault(number, f"{path.relative_to(ROOT)}:{line}")
    listed = set(re.findall(r"^- \*\*(A\d+)\*\*", design(), re.MULTILINE))
    found = [f"{place}: [{number}] is not in DESIGN.md" for number, place in used.items() if number not in listed]
    found += [f"DESIGN.md: {number} is not marked where it is made" for number in sorted(listed - used.keys())]
    assert not found, "\n" + "\n".join(found)


def test_decisions_referred_to_exist() -> None:
    listed = set(re.findall(r"^- \*\*(D\d+)\*\*", design(), re.MULTILINE))
    for module in MODULES:
        assert set(re.findall(r"\[(D\d+)\]", module.text)) <= listed, module.path


def design() -> str:
    return (ROOT / "DESIGN.md").read_text(encoding="utf-8")
