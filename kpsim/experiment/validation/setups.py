"""A record's set-up becomes a question: which parts were timed, how much of everything was there, in which unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kpsim.calibration.records import KERNEL, SYNCS, SYNCS_CPU, Record
from kpsim.calibration.scatter import assumed_scatter
from kpsim.experiment.validation.sizes import Size, counts, mode_of, sync_counts
from kpsim.modes.iptables.mode import PARTIAL_SYNC_SINCE
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import SCALE as IN_SI
from kpsim.profiles.terms import Counts, Part, release
from kpsim.proxy.contract import Mode, SyncKind
from kpsim.proxy.registry import MODES
from kpsim.proxy.work import TimedMode
from kpsim.units import Version

SCALE = IN_SI | {"s/op": 1.0, "KiB": 1024.0, "MB": 1e6}
TICK_S = 0.004  # what the clock of CPU time resolves
FAMILIES = ("iptables-legacy", "iptables-nft", "nftables", "ipvs")

_COMMANDS: Mapping[str, tuple[str, str]] = {  # what was timed by hand -> part and kind
    "full_load": ("restore", "start"),
    "full_resync": ("restore", "full"),
    "add_service": ("restore", "add"),
    "delete_service": ("restore", "delete"),
    "restore_one_service_no_dispatch": ("restore", "one service alone"),
    "save": ("save", ""),
    "append_one_rule_command": ("append", ""),
    "check_one_rule_command": ("iptables", ""),
    "list_table": ("table list", ""),
}
_MEMORY: Mapping[str, tuple[str, str, str]] = {
    "process_rss_full": ("restore", "start", "rss_kb"),
    "process_rss_partial_1": ("restore", "partial", "rss_kb"),
    "kernel_slab+vmalloc+percpu": ("kernel memory", "", ""),
}
_PART_OF_KERNEL = "a part of the kernel's memory: it is predicted as a whole, kernel_slab+vmalloc+percpu"
_UNTOLD: Mapping[str, str] = {  # modes and quantities of commands that no profile prices
    "none": "the path without kube-proxy's rules is priced in no profile; only what rules add to it is",
    "tool": "a process that does nothing is no part of the model",
    "kernel_slab": _PART_OF_KERNEL,
    "kernel_vmalloc": _PART_OF_KERNEL,
    "kernel_percpu": _PART_OF_KERNEL,
    "mem_available_delta": "what the whole machine's free memory changed by holds everything else that ran",
}
_SYNC_PARTS: Mapping[str, tuple[tuple[str, ...], str]] = {  # column -> parts and aspect
    "wall_s": (("go", "iptables", "save", "list", "restore"), ""),
    "go_wall_s": (("go",), ""),
    "children_wall_s": (("iptables", "save", "list", "restore"), ""),
    "iptables_wall_s": (("iptables",), ""),
    "save_wall_s": (("save",), ""),
    "restore_wall_s": (("restore",), ""),
    "list_wall_s": (("list",), ""),
    "cpu_s": (("go", "iptables", "save", "list", "restore"), "cpu"),
    "go_cpu_s": (("go",), "cpu"),
    "children_cpu_s": (("iptables", "save", "list", "restore"), "cpu"),
    "rss_kb": (("memory",), "rss_kb"),
    "rss_mb": (("memory",), "rss_kb"),
    "start_cpu_s": (("start-up",), "cpu"),
    "start_to_first_sync_done_s": (("start-up",), ""),
}
_WITH_GO_CPU = frozenset({"cpu_s", "go_cpu_s"})
_ADDED = {"full": 1, "one": 1, "k10": 1, "k100": 1, "add": 2, "noop": 2, "del": 1}  # Services, while it ran
_ADDED_AFRESH = {"add": 1}  # where each operation began with the Services alone
_AFRESH: tuple[str, Version] = ("iptables-legacy", (1, 30))  # those runs did
_CHANGED = {"one": 1, "endpoint removed": 1, "add": 1}  # and "k10" is ten
_TOGETHER = "the parts of a sync's CPU are predicted together: cpu_s, go_cpu_s, children_cpu_s"
_OPERATIONS = frozenset({*_ADDED, *_CHANGED, "start", "restart"})


@dataclass(frozen=True, slots=True)
class Question:
    """A record in the model's terms; ``aspect`` names its coefficients: of time if empty, else cpu, memory."""

    parts: tuple[Part, ...]
    counts: Counts
    aspect: str = ""
    scale: float = 1.0
    inverse: bool = False  # a rate, whose inverse is the sum
    exact: float | None = None  # counted, not priced
    come_and_go: float = 0.0  # how many of what was counted may have been on their way


class Unspoken(Exception):
    """The model does not speak to a record; the message says why."""


def timer_bytes(record: Record) -> float:
    """Return the memory of the program that timed a command: what the kernel says of the command is never less [B]."""
    if not record.quantity.endswith(".rss_kb"):
        return 0.0
    return assumed_scatter("timer") + assumed_scatter("timer_a_service") * record.number("services")


def read_early(record: Record) -> bool:
    """Return True if Go's clock was read before its threads' time was counted: no fit learns from such a reading."""
    read = assumed_scatter("go_cpu_read") * record.number("go_wall_s")
    return record.study == SYNCS and record.quantity in _WITH_GO_CPU and record.number("go_cpu_s") < read


def go_uncounted(record: Record) -> Question | None:
    """Return Go's part of a sync as a question: a third of all readings lack most of it; ``None`` of other clocks."""
    if record.study != SYNCS or record.quantity not in _WITH_GO_CPU:
        return None
    version = told_release(record)
    return sync_question(record.mode, version, size_of(record), record.setup["operation"], ("go",), "cpu")


def tick_s(record: Record) -> float:
    """Return how far a reading of a clock may be off that counts ticks [s]; 0 of clocks that do not.

    A process's user and system time are told apart by ticks, their sum is not.  ``/proc`` tells CPU time in ticks.
    """
    if record.study == SYNCS_CPU:
        return TICK_S if record.quantity.endswith("cpu_s") else 0.0
    return TICK_S if record.quantity.endswith((".user", ".sys")) else 0.0


def question(record: Record) -> Question:
    """Return what ``record`` asks of the model.  Raises :class:`Unspoken`."""
    if record.study == KERNEL:
        return _kernel(record)
    if record.study in (SYNCS, SYNCS_CPU):
        return _sync(record)
    raise Unspoken(f"no set-up of {record.study} is priced by parts")


def told_release(record: Record) -> Version:
    """Return the release that a record names.  Raises :class:`Unspoken` where it names none."""
    text = record.setup.get("version", "").removeprefix("v")
    try:
        return release(text)
    except ValueError:
        raise Unspoken(f"version: {text!r} is no release of Kubernetes; one is 1.34") from None


def _untold(record: Record) -> str:
    """Return what a row of commands or packets lacks to be a question, empty if nothing."""
    for column in ("services", "endpoints"):
        if not record.setup.get(column):
            return f"{column}: the table says no number"
        if record.number(column) < 0:
            return f"{column}: {record.setup[column]} is less than none"
    return "" if record.unit in SCALE else f"unit: {record.unit!r} is none of {', '.join(SCALE)}"


def _kernel(record: Record) -> Question:
    family = record.mode
    stem, _, aspect = record.quantity.partition(".")
    if record.quantity in _UNTOLD:
        raise Unspoken(_UNTOLD[record.quantity])
    if family not in FAMILIES:
        raise Unspoken(_UNTOLD.get(family, _UNTOLD["none"]))
    if lacks := _untold(record):
        raise Unspoken(lacks)
    n, e = record.number("services"), record.number("endpoints")
    scale = SCALE[record.unit]
    if record.quantity in _MEMORY:
        part, kind, aspect = _MEMORY[record.quantity]
        sized = counts(family, Size(n, n * e, 1.0))
        return Question((Part(part, family, kind),), sized, aspect or "bytes", scale)
    if family != "ipvs" and (stem in _COMMANDS or stem.startswith("partial_")):
        part, kind = _COMMANDS.get(stem, ("restore", "partial"))
        changed = float(stem.rpartition("_")[2]) if stem.startswith("partial_") else 1.0
        sized = counts(family, Size(n, n * e, changed))
        sized |= {"saves": 1.0, "saved": sized["rules"], "runs": 1.0, "reads": sized["rules"]}
        scale = 1024.0 if aspect == "rss_kb" else scale
        return Question((Part(part, family, kind),), sized, "" if aspect == "wall" else aspect, scale)
    if stem.startswith("k="):
        raise Unspoken("one kind of rule many times over: the model prices whole ways of packets")
    if stem.startswith("grow_addr"):
        raise Unspoken("addresses added one after another: each of them is add_addr")
    miss = record.setup.get("position") in ("miss", "direct")
    sized = counts(family, Size(1.0, 0.0 if miss else e))
    sized |= {"services": n, "endpoints": n * e, "rank": _rank(record)}
    return Question((Part(stem, family),), sized, "", scale, inverse=record.unit == "1/s")


def _rank(record: Record) -> float:
    """Return the rules passed before the one that matches: as counted, or by what the position says."""
    counted = record.number("rules_traversed", -1.0)
    share = {"first": 0.0, "middle": 0.5, "last": 1.0, "miss": 1.0}.get(record.setup.get("position", ""), 0.0)
    return counted if counted >= 0 else share * record.number("services")


def sync_question(
    family: str, version: Version, size: Size, operation: str, parts: tuple[str, ...], aspect: str
) -> Question:
    """Return one sync of a real kube-proxy as a question: the mode says what it runs, as it does to an engine."""
    mode = mode_of(family, version)
    kind = _kind(mode, version, operation)
    large = load_defaults().value("kube_proxy.large_cluster_endpoints")
    held = sync_counts(
        family, version, size, kind, looks=size.endpoints <= large, swept=operation == CHURNED
    )  # fmt: skip
    assert isinstance(mode, TimedMode)
    found = mode.timed(kind, held, parts, cpu=aspect == "cpu")
    told = tuple(Part(part, family, kind, version) for part in parts if part in _OF_A_PROCESS)
    return Question((*found.parts, *told), {**found.counts, "own": held.own}, aspect)


def _kind(mode: Mode, version: Version, operation: str) -> SyncKind:
    """Return the kind of sync that an operation makes kube-proxy have."""
    if operation in ("start", "restart"):
        return SyncKind(operation)
    if operation == "full" or mode.runner(version).full_s is None:
        return SyncKind.FULL
    return {"add": SyncKind.ADD, "del": SyncKind.DELETE, "noop": SyncKind.NOTHING}.get(operation, SyncKind.PARTIAL)


MIXED = 95.0  # endpoints of a Service: 5, 30 and 250 in turn
CHURNED = "churned"  # several Services' endpoints come and go, as they do all the time
_OF_A_PROCESS = frozenset({"memory", "start-up"})  # told of kube-proxy, no part of its syncs


def endpoints_each(record: Record) -> float:
    """Return the endpoints of a Service.  Raises :class:`Unspoken` where a row tells none."""
    text = record.setup.get("endpoints_per_service", "")
    if not text:
        raise Unspoken("endpoints_per_service: the table says no number")
    return MIXED if text == "mix" else float(text)


def size_of(record: Record) -> Size:
    """Return how much a kube-proxy's row says was there; "mix" has its sum in a column of its own."""
    n = record.number("services")
    total = record.number("endpoints") or n * endpoints_each(record)
    operation, version = record.setup.get("operation", ""), told_release(record)
    added = _ADDED_AFRESH if (record.mode, version) == _AFRESH else _ADDED
    extra = added.get(operation, 0) if record.mode.startswith("iptables") else 0
    changed = float(_CHANGED.get(operation, 0)) or _counted(operation)
    return Size(n + extra, total + extra * total / max(n, 1.0), changed)


def _counted(operation: str) -> float:
    """Return how many Services "k10" says that changed, 0 where an operation has no such number."""
    return float(operation[1:]) if operation[:1] == "k" and operation[1:].isdecimal() else 0.0


def _sync(record: Record) -> Question:
    setup, family = record.setup, record.mode
    if family.partition("-")[0] not in MODES or family not in FAMILIES[:3]:
        raise Unspoken(f"no syncs of {family} are priced by parts")
    version, operation = told_release(record), setup["operation"]
    if (status := MODES[family.partition("-")[0]].status(version)) in ("not yet", "gone"):
        raise Unspoken(f"kube-proxy {setup['version']} has no mode {family}: it is {status} there")
    if not setup["services"] or record.number("services") < 0:
        raise Unspoken(f"services: {setup['services']!r} is no number of Services")
    if operation not in _OPERATIONS and not _counted(operation):
        raise Unspoken(
            f"no operation {operation!r}; there are {', '.join(sorted(_OPERATIONS))}, and k10 for ten changed Services"
        )
    asked = sync_question(family, version, size_of(record), operation, *_SYNC_PARTS.get(record.quantity, ((), "")))
    if record.quantity == "processes":
        return Question((), asked.counts, exact=processes(asked))
    if record.quantity == "nat_rules":
        written = _rules_written(asked, family, operation, version)
        return Question((), asked.counts, exact=written, come_and_go=_on_their_way(asked, operation))
    if not asked.parts:
        raise Unspoken("nothing of this kind runs in such a sync" if record.quantity in _SYNC_PARTS else _TOGETHER)
    return Question(asked.parts, asked.counts, asked.aspect, SCALE[record.unit])


def processes(asked: Question) -> float:
    """Return the processes a sync runs."""
    return sum(float(asked.counts.get(name, 0)) for name in ("runs", "saves", "lists")) + 1.0


def _on_their_way(asked: Question, operation: str) -> float:
    """Return the rules that may be written or not: a Service's that goes, or one for each that changes."""
    if operation == "del":
        return float(asked.counts["own"] / asked.counts["services"])
    return float(asked.counts["changed"]) if _counted(operation) else 0.0


def _rules_written(asked: Question, family: str, operation: str, version: Version) -> float:
    """Return the rules that kube-proxy writes into the nat table; a running one has seen a Service added."""
    if not family.startswith("iptables"):
        raise Unspoken("nftables counts no rules of a nat table")
    if operation in ("start", "restart", "full") or version < PARTIAL_SYNC_SINCE:
        return float(asked.counts["rules"])
    return float(asked.counts["rules"] - asked.counts["own"] + asked.counts["changed_rules"])
