"""A kernel takes the rules of other settings and other versions of Kubernetes, and gives them back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kpsim.modes.iptables.program import program as iptables_program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.modes.nftables.program import program as nftables_program
from kpsim.modes.nftables.rules import TABLE
from kpsim.modes.nftables.transaction import NOTHING, operations
from kpsim.proxy.node import NodeConfig
from tests.kernel import nft, xtables
from tests.kernel.namespaces import Namespace
from tests.kernel.needs import need
from tests.kernel.services import CONFIG, STATES

pytestmark = pytest.mark.kernel

BRIDGE = replace(CONFIG, pod_interface="cni0")
PREFIX = replace(CONFIG, pod_interface="veth+")
SETTINGS = {
    "Pods come in by a bridge": BRIDGE,
    "Pods come in by interfaces of one prefix": PREFIX,
    "NodePorts at chosen addresses": replace(CONFIG, node_port_addresses=(f"{CONFIG.local_ips[0]}/32", "127.0.0.0/8")),
    "another mark": replace(CONFIG, masquerade_bit=20, masquerade_all=True),
    **{f"1.{minor}": replace(CONFIG, kubernetes_version=(1, minor)) for minor in (23, 24, 26, 29, 30, 32, 36)},
}


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    need()
    made = Namespace.make()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("config", SETTINGS.values(), ids=SETTINGS.keys())
def test_iptables_takes_them(config: NodeConfig, backend: str, namespace: Namespace, tmp_path: Path) -> None:
    need(backend)
    rules = iptables_program(STATES, config)
    tables = xtables.Tables(namespace, backend, tmp_path)
    namespace.add_counters()
    tables.restore(jump_lines(rules))
    tables.restore(restore_lines(rules))
    assert tables.save() == xtables.wanted(rules, {})
    saved = namespace.run((f"{tables.tool}-save", "-t", "nat"), lock=tables.lock)
    printed = "\n".join(restore_lines(rules))
    name = config.pod_interface
    assert saved.count(f"! -i {name} ") == printed.count(f"! -i {name} ") == (len(served(config)) if name else 0)


def served(config: NodeConfig) -> list[str]:
    """Services whose ClusterIP somebody can answer, each with a rule for strangers."""
    rules = iptables_program(STATES, config).chains["KUBE-SERVICES"]
    return [rule.destination for rule in rules if rule.comment.endswith("cluster IP")]


@pytest.mark.parametrize("config", SETTINGS.values(), ids=SETTINGS.keys())
def test_nft_takes_them(config: NodeConfig, namespace: Namespace) -> None:
    need("nftables")
    rules = nftables_program(STATES, config)
    table = nft.Nft(namespace, rules.ip)
    table.commit(operations(NOTHING, rules, start=True))
    nft.compare(table.table(), nft.wanted(rules, ()))
    table.commit(operations(rules, rules, {STATES[0].info.service}))
    nft.compare(table.table(), nft.wanted(rules, ()))
    if config.pod_interface:
        listed = namespace.run(("nft", "list", "table", rules.ip, TABLE))
        assert listed.count(f'iifname != "{config.pod_interface.replace("+", "*")}"') == len(served(config))
