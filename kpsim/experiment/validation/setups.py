"""A record's set-up becomes a question: which parts were timed, how much of everything was there, in which unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kpsim.calibration.records import KERNEL, SYNCS, SYNCS_CPU, Record
from kpsim.calibration.terms import Counts, Part, release
from kpsim.experiment.validation.sizes import Size, counts
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import SCALE as IN_SI
from kpsim.proxy.registry import MODES
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
    "process_rss_full": ("restore", "start", "process"),
    "process_rss_partial_1": ("restore", "partial", "process"),
    "kernel_slab+vmalloc+percpu": ("kernel memory", "", ""),
}
_SYNC_PARTS: Mapping[str, tuple[tuple[str, ...], str]] = {  # column -> parts and aspect
    "wall_s": (("go", "iptables", "save", "list", "restore"), ""),
    "go_wall_s": (("go",), ""),
    "children_wall_s": (("iptables", "save", "list", "restore"), ""),
    "iptables_wall_s": (("iptables",), ""),
    "save_wall_s": (("save",), ""),
    "restore_wall_s": (("restore",), ""),
    "list_wall_s": (("list",), ""),
    "cpu_s": (("go cpu", "iptables", "save", "list", "restore"), "cpu"),
    "go_cpu_s": (("go cpu",), "cpu"),
    "children_cpu_s": (("iptables", "save", "list", "restore"), "cpu"),
    "rss_kb": (("memory",), "rss_kb"),
    "rss_mb": (("memory",), "rss_kb"),
    "start_cpu_s": (("start-up",), "cpu"),
    "start_to_first_sync_done_s": (("start-up",), ""),
}
_ADDED = {"full": 1, "one": 1, "k10": 1, "k100": 1, "add": 2, "noop": 2, "del": 1}  # Services, while it ran
_CHANGED = {"one": 1, "endpoint removed": 1, "add": 1, "del": 1, "k10": 10, "k100": 100}


@dataclass(frozen=True, slots=True)
class Question:
    """A record in the model's terms; ``aspect`` names its coefficients: of time if empty, else cpu, memory."""

    parts: tuple[Part, ...]
    counts: Counts
    aspect: str = ""
    scale: float = 1.0
    inverse: bool = False  # a rate, whose inverse is the sum
    exact: float | None = None  # counted, not priced


class Unspoken(Exception):
    """The model does not speak to a record; the message says why."""


def question(record: Record) -> Question:
    """Return what ``record`` asks of the model.  Raises :class:`Unspoken`."""
    if record.study == KERNEL:
        return _kernel(record)
    if record.study in (SYNCS, SYNCS_CPU):
        return _sync(record)
    raise Unspoken(f"no set-up of {record.study} is priced by parts")


def _kernel(record: Record) -> Question:
    family = record.mode
    if family not in FAMILIES:
        raise Unspoken("the path without kube-proxy's rules is priced in no profile; only what rules add to it is")
    stem, _, aspect = record.quantity.partition(".")
    n, e = record.number("services"), record.number("endpoints")
    scale = SCALE.get(record.unit, 1.0)
    if record.quantity in _MEMORY:
        part, kind, aspect = _MEMORY[record.quantity]
        sized = counts(family, Size(n, n * e, 1.0))
        return Question((Part(part, family, kind),), sized, aspect or "bytes", scale)
    if stem in _COMMANDS or stem.startswith("partial_"):
        part, kind = _COMMANDS.get(stem, ("restore", "partial"))
        changed = float(stem.rpartition("_")[2]) if stem.startswith("partial_") else 1.0
        sized = counts(family, Size(n, n * e, changed))
        sized |= {"saves": 1.0, "saved": sized["rules"], "runs": 1.0, "reads": sized["rules"]}
        scale = 1024.0 if aspect == "rss_kb" else scale
        return Question((Part(part, family, kind),), sized, "" if aspect == "wall" else aspect, scale)
    if stem.startswith("k="):
        raise Unspoken("one kind of rule many times over: the model prices whole ways of packets")
    miss = record.setup.get("position") in ("miss", "direct")
    sized = counts(family, Size(1.0, 0.0 if miss else e))
    sized |= {"services": n, "rank": record.number("rules_traversed")}
    return Question((Part(stem, family),), sized, "", scale, inverse=record.unit == "1/s")


def sync_question(
    family: str, version: Version, size: Size, operation: str, parts: tuple[str, ...], aspect: str
) -> Question:
    """Return one sync of a real kube-proxy as a question: what it runs depends on the release and on what changed."""
    first, iptables = operation in ("start", "restart"), family.startswith("iptables")
    partial_since = MODE_PARTIAL[family.partition("-")[0]]
    whole = first or operation == "full" or version < partial_since
    found = counts(family, size)
    if first:
        kind = operation
    elif whole:
        kind = "full"
    else:
        kind = {"add": "add", "del": "delete", "noop": "nothing"}.get(operation, "partial")
    if iptables:
        jumps = 14 if version >= (1, 27) else 12
        looks = first or size.endpoints <= load_defaults().value("kube_proxy.large_cluster_endpoints")
        found["runs"] = float(whole * jumps * (3 if operation == "start" else 2))
        found["reads"] = 6 * found["rules"] if whole and operation != "start" else 0.0
        found["saves"] = float(looks)
        found["saved"] = found["rules"] if looks and operation != "start" else 0.0
    elif family == "nftables":
        found["lists"] = 2.0 if version < (1, 33) else float(1 + (6 + (version >= (1, 36))) * whole)
    run = set(parts) - _NOT_RUN[iptables]
    if family == "nftables" and version >= (1, 36) and len(run) > 1:
        run = {"sync"}  # timed as a whole
    return Question(tuple(Part(part, family, kind, version) for part in sorted(run)), found, aspect)


_NOT_RUN: Mapping[bool, set[str]] = {True: {"list"}, False: {"iptables", "save"}}  # by iptables or not
MODE_PARTIAL: Mapping[str, Version] = {"iptables": (1, 27), "nftables": (1, 31), "ipvs": (99, 0)}


def size_of(record: Record) -> Size:
    """Return how much a kube-proxy's row says was there; "mix" has its sum in a column of its own."""
    n = record.number("services")
    total = record.number("endpoints") or n * record.number("endpoints_per_service", 95.0)  # of 5, 30 and 250 in turn
    extra = _ADDED.get(record.setup.get("operation", ""), 0) if record.mode.startswith("iptables") else 0
    return Size(
        n + extra, total + extra * total / max(n, 1.0), float(_CHANGED.get(record.setup.get("operation", ""), 0))
    )


def _sync(record: Record) -> Question:
    setup, family = record.setup, record.mode
    if family.partition("-")[0] not in MODES or family not in FAMILIES[:3]:
        raise Unspoken(f"no syncs of {family} are priced by parts")
    version, operation = release(setup["version"]), setup["operation"]
    asked = sync_question(family, version, size_of(record), operation, *_SYNC_PARTS.get(record.quantity, ((), "")))
    if record.quantity == "processes":
        return Question((), asked.counts, exact=processes(asked))
    if record.quantity == "nat_rules":
        return Question((), asked.counts, exact=_rules_written(asked, family, operation, version))
    if not asked.parts:
        raise Unspoken("the parts of a sync's CPU are predicted together: cpu_s, go_cpu_s, children_cpu_s")
    return Question(asked.parts, asked.counts, asked.aspect, SCALE[record.unit])


def processes(asked: Question) -> float:
    """Return the processes a sync runs."""
    return asked.counts["runs"] + asked.counts["saves"] + asked.counts["lists"] + 1.0


def _rules_written(asked: Question, family: str, operation: str, version: Version) -> float:
    """Return the rules that kube-proxy writes into the nat table; a running one has seen a Service added."""
    if not family.startswith("iptables"):
        raise Unspoken("nftables counts no rules of a nat table")
    if operation in ("start", "restart", "full") or version < MODE_PARTIAL["iptables"]:
        return asked.counts["rules"]
    return asked.counts["rules"] - asked.counts["own"] + asked.counts["changed_rules"]
