"""Maps are listed as Cilium's own tool does, with the agent's writes after a change: for a reader, not for a tool.

No tool takes map entries as text; the agent makes them by system calls.  Formats of ``cilium-dbg bpf lb list`` with
``--backends``, ``--revnat`` and ``--source-ranges`` (cilium-dbg/cmd/bpf_lb_list.go), one after the other, in the order
in which the entries were made: in a kernel a hash has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kpsim.modes.ebpf.rules import BACKENDS, MATCHES, RANGES, REVERSE, SERVICES, EbpfRules, Frontend, map_name
from kpsim.proxy.node import ip_port

TOOL = "cilium-dbg bpf lb list"
HEADING = f"{'SERVICE ADDRESS':<31} BACKEND ADDRESS (REVNAT_ID) (SLOT)"
NOBODY = {"IPv4": "0.0.0.0:0", "IPv6": "[::]:0"}  # what the tool shows for a master entry's backend


def list_lines(rules: EbpfRules) -> Iterator[str]:
    """Yield all maps, as the tool lists them."""
    yield f"# {TOOL}"
    yield HEADING
    for frontend in rules.services.values():
        yield from frontend_lines(frontend, rules.config.ip_family)
    yield f"# {TOOL} --backends"
    yield _row("ID", "BACKEND ADDRESS")
    for number, backend in rules.backends.items():
        yield _row(str(number), f"{backend.address}/{backend.protocol}")
    yield f"# {TOOL} --revnat"
    yield _row("ID", "SERVICE ADDRESS")
    for frontend in rules.services.values():
        yield _row(str(frontend.number), ip_port(frontend.key.ip, frontend.key.port))
    yield f"# {TOOL} --source-ranges"
    yield _row("SOURCE RANGE", "(REVNAT_ID)")
    for number, cidr in rules.source_ranges:
        yield _row(cidr, f"({number})")


def frontend_lines(frontend: Frontend, family: str) -> Iterator[str]:
    """Yield one frontend: its master entry with the flags, then its slots."""
    head = f"{NOBODY[family]} ({frontend.number}) (0) [{', '.join(frontend.flags)}]"
    yield _row(f"{frontend.key} (0)", head)
    for slot, backend in enumerate(frontend.backends, 1):
        address = f"{backend.address}/{backend.protocol}"
        yield _row(f"{frontend.key} ({slot})", f"{address} ({frontend.number}) ({slot})")


def update_lines(rules: EbpfRules, changed: Collection[str]) -> Iterator[str]:
    """Yield the agent's writes after the Services in ``changed`` changed: every entry of their frontends, in order.

    Backends that are new are not told from those that were there, and are all shown.
    """
    written: set[int] = set()
    for frontend in rules.services.values():
        if frontend.service not in changed:
            continue
        for name, key, value in _writes(frontend):
            if name == BACKENDS and int(key) in written:
                continue
            if name == BACKENDS:
                written.add(int(key))
            yield f"update {map_name(name, rules.config.ip_family)} {key} → {value}"


def _writes(frontend: Frontend) -> Iterator[tuple[str, str, str]]:
    """Map, key and value of each entry of a frontend; the master last: it never counts a slot that is not there."""
    for slot, backend in enumerate(frontend.backends, 1):
        yield BACKENDS, str(backend.number), f"{backend.address}/{backend.protocol}"
        yield SERVICES, f"{frontend.key} slot {slot}", f"backend {backend.number}"
        if frontend.affinity_s:
            yield MATCHES, f"REVNAT_ID {frontend.number}, backend {backend.number}", "may keep a client"
    for cidr in frontend.source_ranges:
        yield RANGES, f"REVNAT_ID {frontend.number}, {cidr}", "let in"
    yield REVERSE, str(frontend.number), ip_port(frontend.key.ip, frontend.key.port)
    flags = ", ".join(frontend.flags)
    yield SERVICES, f"{frontend.key} slot 0", f"count {len(frontend.backends)}, REVNAT_ID {frontend.number} [{flags}]"


def _row(first: str, second: str) -> str:
    return f"{first:<31} {second}"
