"""The modes' own rules for growing numbers of Services become a plan of what is to be timed.

Services are alike but for a few among them that packets are sent to.  Those that stand between are TCP's, so a UDP
packet passes rules that differ in protocol and address, as most in a cluster do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address

from kpsim.calibration.bench.plan import Input, Plan, Step, Target, Updates, Walk
from kpsim.calibration.bench.town import NODE, TARGET_PORT
from kpsim.experiment.validation.sizes import Size, counts, mode_of
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.text import transaction_lines
from kpsim.modes.nftables.transaction import deletions, operations, unwanted
from kpsim.proxy.contract import Stories, stories
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState

CONFIG = NodeConfig(name="node", node_ips=(NODE,), pod_cidr="10.200.0.0/16", nfacct=False)
PORT = 80
_CLUSTER_IPS, _PODS = int(IPv4Address("10.96.0.0")), int(IPv4Address("10.128.0.0"))
_POSITIONS = ("first", "quarter", "middle", "three quarters", "last")
_WIDE = (4, 16, 64)  # endpoints of further targets, at the front
_MANY = 100
_IPVS = ("sysctl", "ipset", "ipvsadm", "iptables-restore")  # that its script calls
_RESTORE = ("-w", "5", "--noflush", "--counters")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Services of a mode for packets, and (Services, endpoints of each) for commands."""

    packets: tuple[int, ...]
    commands: tuple[tuple[int, int], ...]


FULL = {
    "iptables-legacy": Sizes((1000, 5000), ((50, 4), (200, 1), (200, 4), (1000, 1), (1000, 4))),
    "iptables-nft": Sizes((300, 1500), ((50, 4), (200, 1), (500, 2), (1000, 1), (2000, 1))),
    "nftables": Sizes((100, 1000), ((50, 4), (200, 1), (500, 2), (1000, 1), (2000, 1))),
    "ipvs": Sizes((100, 1000), ()),
}
QUICK = {
    "iptables-legacy": Sizes((500, 2500), ((50, 4), (200, 1), (500, 2), (1000, 1))),
    "iptables-nft": Sizes((200, 1000), ((50, 4), (200, 1), (500, 2), (1000, 1))),
    "nftables": Sizes((100, 500), ((50, 4), (200, 1), (500, 2), (1000, 1))),
    "ipvs": Sizes((100,), ()),
}


def service(i: int, endpoints: int, protocol: str = "TCP") -> PortState:
    """Return the Service of number ``i``, with endpoints of its own."""
    info = PortInfo("default", f"service-{i}", "port", protocol, str(IPv4Address(_CLUSTER_IPS + i + 10)), PORT)
    first = _PODS + 1 + i * 64
    made = [EndpointInfo(str(IPv4Address(first + k)), TARGET_PORT) for k in range(endpoints)]
    return PortState(info, tuple(sorted(made, key=lambda e: e.address)), i, i)


def plan(sizes: Mapping[str, Sizes], whole_s: float, packets_s: float) -> Plan:
    """Return what is to be timed for each mode in so many seconds, some of which are for packets."""
    walks = [_walk(mode, n) for mode, each in sizes.items() for n in each.packets]
    updates = [updates_of(mode, n, e) for mode, each in sizes.items() for n, e in each.commands]
    return Plan(tuple(walks), tuple(updates), whole_s, packets_s)


def _walk(mode: str, services: int) -> Walk:
    """Return rules with targets at five positions of one endpoint, and at the front of more."""
    at = {name: (services - 2) * i // (len(_POSITIONS) - 1) for i, name in enumerate(_POSITIONS)}
    found = [Target(name, rank, 1, "", PORT, "UDP") for name, rank in at.items()]
    found += [Target("front", 2 + 2 * i, e, "", PORT, "UDP") for i, e in enumerate(_WIDE)]
    states = {rank: service(rank, 1) for rank in range(services)}
    targets: list[Target] = []
    for target in found:
        for more, protocol in enumerate(("UDP", "TCP")):
            rank = target.rank + more
            states[rank] = service(rank, target.endpoints, protocol)
            address = states[rank].info.cluster_ip
            targets.append(Target(target.position, rank, target.endpoints, address, PORT, protocol))
    return Walk(mode, services, _IPVS if mode == "ipvs" else (), _loading(mode, list(states.values())), tuple(targets))


def _programmed(mode: str, states: Sequence[PortState]) -> Stories:
    made = mode_of(mode)
    return stories(made, made.program(states, CONFIG))


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _restore(mode: str) -> tuple[str, ...]:
    if mode == "nftables":
        return ("nft", "-f", "-")
    return ("sh", "-e") if mode == "ipvs" else (f"{mode}-restore", *_RESTORE)


def _loading(mode: str, states: Sequence[PortState]) -> tuple[Input, ...]:
    """Return what brings the rules into an empty kernel."""
    return (*_jumps(mode), Input(_restore(mode), _text(_programmed(mode, states).text())))


def _jumps(mode: str) -> tuple[Input, ...]:
    if not mode.startswith("iptables"):
        return ()
    rules = mode_of(mode).program((), CONFIG).rules
    return (Input(_restore(mode), _text(jump_lines(rules))),)


def updates_of(mode: str, services: int, endpoints: int) -> Updates:
    """Return the commands that are timed on so many Services, from the first load to the last listing."""
    name = mode.partition("-")[0]
    states, there, fewer = _there(name, services, endpoints)
    rules = round(counts(mode, Size(services, services * endpoints))["rules"])
    run = _restore(mode)
    changed = [
        Step(f"partial_{n}", Input(run, _text(there.text({state.info.service for state in states[:n]}))))
        for n in (1, _MANY)
        if n <= services
    ]
    steps = [Step("full_load", Input(run, _text(there.text()))), *changed]
    last = states[-1].info.service
    more = _of_nftables(there, fewer, last) if mode == "nftables" else _of_iptables(mode, there, fewer, last)
    return Updates(mode, services, endpoints, rules, _jumps(mode), (*steps, *more))


@cache
def _there(name: str, services: int, endpoints: int) -> tuple[list[PortState], Stories, Stories]:
    """Return so many Services, their rules, and the rules without the last; both back ends of iptables share them."""
    states = [service(i, endpoints) for i in range(services)]
    return states, _programmed(name, states), _programmed(name, states[:-1])


def _of_iptables(mode: str, there: Stories, fewer: Stories, last: str) -> list[Step]:
    run = _restore(mode)
    gone = [name for name in there.rules.chains if name not in fewer.rules.chains]
    delete = Input(run, _text(restore_lines(fewer.rules, set(), gone)))
    add = Input(run, _text(there.text({last})))
    alone = [line for line in add.text.splitlines() if not _of_the_top(line)]
    own = ("-t", "nat", "-A", "KUBE-MARK-MASQ", "-d", "198.51.100.1/32", "-j", "RETURN")
    return [
        Step("full_resync", Input(run, _text(there.text()))),
        Step("delete_service", delete),
        Step("add_service", add),
        Step("restore_one_service_no_dispatch", Input(run, _text(["*nat", *alone[alone.index("*nat") + 1 :]]))),
        Step("save", Input((f"{mode}-save", "-t", "nat"))),
        Step(
            "append_one_rule_command",
            Input((mode, "-w", "5", *own)),
            Input((mode, "-w", "5", *own[:2], "-D", *own[3:])),
        ),
        Step("check_one_rule_command", Input((mode, "-w", "5", "-t", "nat", "-C", "KUBE-MARK-MASQ", *_marks(there)))),
    ]


def _of_the_top(line: str) -> bool:
    """Return True for a line about a chain that is no Service's."""
    return line.startswith((":", "-A")) and not line.removeprefix("-A ").removeprefix(":").startswith(
        ("KUBE-SVC-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-SVL-", "KUBE-FW-")
    )


def _marks(there: Stories) -> list[str]:
    (line,) = (rule.render("KUBE-MARK-MASQ") for rule in there.rules.chains["KUBE-MARK-MASQ"])
    return line.split()[2:]


def _of_nftables(there: Stories, fewer: Stories, last: str) -> list[Step]:
    now, before = there.rules, fewer.rules
    assert isinstance(now, NftRules)
    assert isinstance(before, NftRules)
    add = operations(before, now, {last})
    delete = [*operations(now, before, set()), *deletions(unwanted(now, before))]
    whole = operations(now, now)
    run = _restore("nftables")
    return [
        Step("full_resync", Input(run, _text(transaction_lines(whole, "ip")))),
        Step("delete_service", Input(run, _text(transaction_lines(delete, "ip")))),
        Step("add_service", Input(run, _text(transaction_lines(add, "ip")))),
        Step("list_table", Input(("nft", "list", "table", "ip", "kube-proxy"))),
    ]
