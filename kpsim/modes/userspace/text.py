"""The iptables commands of one sync, as kube-proxy runs them: one process a line, or two where a rule is missing.

There is no batch and no restore.  Each chain is created (which fails if it is there), each rule is checked and, if the
check fails, added.  Rules of Services that changed are made sure of twice: when the change is taken in, and with all
others after that.  Source: pkg/proxy/userspace/proxier.go (iptablesInit, mergeService, ensurePortals),
pkg/util/iptables/iptables.go (EnsureChain, EnsureRule, runContext).
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator

from kpsim.modes.userspace.program import JUMPS, UserspaceRules
from kpsim.proxy.rules import Rule, few, table_and_chain

WAIT = "-w 5 -W 100000"  # for the lock, as long as five seconds


def command_lines(rules: UserspaceRules, changed: Collection[str] | None = None) -> Iterator[str]:
    """Yield a sync's commands for the Services in ``changed``; ``None`` makes an empty node like ``rules``."""
    tool = f"{'iptables' if rules.config.ip_family == 'IPv4' else 'ip6tables'} {WAIT}"
    for jump in JUMPS:
        table, chain = table_and_chain(jump.target)
        yield f"{tool} -N {chain} -t {table}"
        yield _ensure(tool, jump.operation, f"{jump.chain} -t {table} {_arguments(jump.rule)} -j {chain}")
    for chain, rule in rules.ensured:
        if changed is not None and service_of(rule) in changed:
            yield _append(tool, chain, rule)
    for chain, rule in rules.ensured:
        yield _append(tool, chain, rule)


def _append(tool: str, where: str, rule: Rule) -> str:
    table, chain = table_and_chain(where)
    return _ensure(tool, "-A", f"{chain} -t {table} {_arguments(rule)}")


def _ensure(tool: str, operation: str, rule: str) -> str:
    return f"{tool} -C {rule} || {tool} {operation} {rule}"


def _arguments(rule: Rule) -> str:
    """Return a rule in kube-proxy's own order of options, up to its target if it has one of its own."""
    words = [f"-m addrtype --dst-type {rule.destination_type}"] if rule.destination_type and not rule.port else []
    words.append(f"-m comment --comment {shlex.quote(rule.comment)}")
    if rule.port:
        words.append(f"-p {rule.protocol} -m {rule.protocol} --dport {rule.port}")
    if rule.destination:
        words.append(f"-d {rule.destination}/{128 if ':' in rule.destination else 32}")
    if rule.match:
        words.append(rule.match)
    if rule.destination_type and rule.port:
        words.append(f"-m addrtype --dst-type {rule.destination_type}")
    if rule.target:
        words.append(f"-j {rule.target}")
    words += [rule.options] if rule.options else []
    words += [f"--to-destination {rule.to}"] if rule.to else []
    return " ".join(words)


def service_of(rule: Rule) -> str:
    """Return the Service "namespace/name" that a portal's rule is of: its comment says it."""
    return rule.comment.partition(":")[0]


def service_lines(rules: UserspaceRules, service: str) -> Iterator[str]:
    """Yield the rules of one Service as ``iptables-save`` prints them, then its sockets."""
    for name, chain_rules in rules.chains.items():
        table, chain = table_and_chain(name)
        mine = [rule.render(chain) for rule in chain_rules if service_of(rule) == service]
        if mine and table != "nat":
            yield f"*{table}"
        yield from few(mine, f"rules of {chain}")
    for listener in rules.listeners.values():
        if listener.info.service == service:
            yield listener.render()
            yield from few([f"  -> {endpoint.address}" for endpoint in listener.endpoints], "endpoints")
