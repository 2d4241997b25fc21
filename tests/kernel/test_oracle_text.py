"""The Services of kube-proxy's own tests, of both IP families: a kernel takes their rules and gives them back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpsim.modes.iptables.program import program as iptables_program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.modes.nftables.program import program as nftables_program
from kpsim.modes.nftables.transaction import NOTHING, operations
from kpsim.proxy.node import port_states
from tests.kernel import nft, xtables
from tests.kernel.namespaces import Namespace
from tests.kernel.needs import need
from tests.oracle.inputs import Case, cases, config_of, objects_of

pytestmark = pytest.mark.kernel


def loadable(mode: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases(mode) if "services" in (case.get("input") or {})]


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    need()
    made = Namespace.make()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("case", loadable("iptables"))
def test_iptables_takes_them(case: Case, backend: str, namespace: Namespace, tmp_path: Path) -> None:
    config = config_of(case)
    need(backend, config.ip_family)
    rules = iptables_program(port_states(objects_of(case["input"]), config), config)
    tables = xtables.Tables(namespace, backend, tmp_path, config.ip_family)
    namespace.add_counters()
    tables.restore(jump_lines(rules))
    tables.restore(restore_lines(rules))
    assert tables.save() == xtables.wanted(rules, {})


@pytest.mark.parametrize("case", loadable("nftables"))
def test_nft_takes_them(case: Case, namespace: Namespace) -> None:
    config = config_of(case)
    need("nftables", config.ip_family)
    rules = nftables_program(port_states(objects_of(case["input"]), config), config)
    table = nft.Nft(namespace, rules.ip)
    table.commit(operations(NOTHING, rules, start=True))
    nft.compare(table.table(), nft.wanted(rules, ()))
