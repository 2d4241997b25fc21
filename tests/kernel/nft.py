"""kube-proxy's nftables table in one namespace, as nft lists it, and how it is compared with what was asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from kpsim.modes.nftables.rules import TABLE, NftRule, NftRules
from kpsim.modes.nftables.text import transaction_lines
from kpsim.modes.nftables.transaction import Operation
from tests.kernel.namespaces import Namespace

__all__ = ["Nft", "Table", "compare", "wanted", "wanted_action"]

Table = dict[str, dict[Any, Any]]  # chains: what their rules do; elements: by container; affinity: timeouts
ACTIONS = ("drop", "reject", "masquerade", "return")


class Nft:
    """kube-proxy's table of one IP family in one namespace."""

    def __init__(self, node: Namespace, ip: str = "ip") -> None:
        self.node, self.ip = node, ip

    def commit(self, statements: Iterable[Operation], *options: str) -> float:
        """One transaction; how many seconds it took."""
        text = "\n".join(transaction_lines(statements, self.ip)) + "\n"
        began = time.perf_counter()
        self.node.run(("nft", *options, "-f", "-"), text)
        return time.perf_counter() - began

    def table(self) -> Table:
        """The table as it is in the kernel."""
        listed = json.loads(self.node.run(("nft", "-j", "list", "table", self.ip, TABLE)))["nftables"]
        found: Table = {"chains": {}, "elements": {}, "affinity": {}}
        for entry in listed:
            ((kind, what),) = entry.items()
            if kind == "chain":
                found["chains"][what["name"]] = []
            elif kind == "rule":
                found["chains"][what["chain"]].append(action(what["expr"]))
            elif kind == "set" and "timeout" in what:
                found["affinity"][what["name"]] = what["timeout"]
            elif kind in ("set", "map"):
                found["elements"][what["name"]] = dict(map(element, what.get("elem", ())))
        return found


def element(listed: Any) -> tuple[tuple[str, ...], str]:
    """A set's or map's element: its key, and the map's verdict."""
    key, verdict = listed if isinstance(listed, list) else (listed, None)
    if isinstance(key, dict) and "elem" in key:
        key = key["elem"]["val"]
    parts = key["concat"] if isinstance(key, dict) else [key]
    return tuple(map(str, parts)), said(verdict) if verdict else ""


def said(verdict: dict[str, Any]) -> str:
    ((verb, what),) = verdict.items()
    return f"{verb} {what['target']}" if what else str(verb)


def action(expressions: list[dict[str, Any]]) -> str:
    """What a rule does, in the words of :func:`wanted_action`."""
    for expression in expressions:
        ((verb, what),) = expression.items()
        if verb in ("jump", "goto"):
            return f"{verb} {what['target']}"
        if verb == "vmap" and "numgen" in what["key"]:
            return "choose " + " ".join(said(verdict) for _, verdict in what["data"]["set"])
        if verb == "vmap":
            return f"vmap {what['data']}"
        if verb == "dnat":
            ip = what["addr"]
            if isinstance(ip, dict):  # a map by number, to addresses with ports
                every = (at["concat"] for _, at in ip["map"]["data"]["set"])
                return "dnat map " + " ".join(f"{address}:{port}" for address, port in every)
            return f"dnat {f'[{ip}]' if ':' in ip else ip}:{what['port']}"
        if verb == "set":
            return f"remember {what['set']}"
        if verb == "mangle":
            return "mark"
        if verb in ACTIONS:
            return str(verb)
    raise AssertionError(expressions)


def wanted_action(rule: NftRule) -> str:
    if rule.verb == "choose":
        return "choose " + " ".join(f"goto {chain}" for chain in rule.choices)
    if rule.verb == "dnat":
        return f"dnat {rule.to}"
    if rule.verb == "dnat map":
        return "dnat map " + " ".join(at.replace("[", "").replace("]", "") for at in rule.choices)
    if rule.verb in ("jump if in", "masquerade marked"):
        return f"jump {rule.target}" if rule.target else "mark"
    if rule.verb == "remember":
        return f"remember @{rule.lookup}"
    if rule.verb == "vmap":
        return f"vmap @{rule.lookup}"
    return f"{rule.verb} {rule.target}" if rule.target else {"unmark": "mark"}.get(rule.verb, rule.verb.split(" ")[0])


def wanted(rules: NftRules, lingering: Iterable[str]) -> Table:
    """What the kernel should have: the rules, and flushed chains that are not deleted yet."""
    chains = {name: list(map(wanted_action, of)) for name, of in rules.chains.items()}
    elements = {
        name: {tuple(at.removesuffix("/32") for at in key): one.verdict for key, one in container.items()}
        for name, container in rules.elements.items()
    }
    flushed: dict[str, list[str]] = {name: [] for name in lingering}
    return {"chains": flushed | chains, "elements": elements, "affinity": dict(rules.affinity)}


def compare(found: Table, expected: Table) -> None:
    """Part by part, since a difference among thousands must be readable."""
    for part, entries in expected.items():
        assert found[part].keys() == entries.keys(), part
        wrong = {name: (found[part][name], entries[name]) for name in entries if found[part][name] != entries[name]}
        assert not wrong, (part, len(wrong), next(iter(wrong.items())))
