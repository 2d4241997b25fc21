"""Texts that people give for rules or objects and that are neither have a name here, and a hint to the right one."""

from __future__ import annotations

import re
from dataclasses import dataclass

OBJECTS = "kubectl get svc,endpointslices,nodes -A -o json"
RULES = "iptables-save, nft list ruleset or ipvsadm -Ln"


@dataclass(frozen=True, slots=True)
class OtherKind:
    """A kind of text that kpsim takes nothing from: its marks, its name, and a hint to give another."""

    pattern: re.Pattern[str]
    name: str
    instead: str


def _kind(pattern: str, name: str, instead: str) -> OtherKind:
    return OtherKind(re.compile(pattern, re.MULTILINE), name, instead)


_JOURNAL = r"[A-Z][a-z]{2} +\d+ [\d:]{8} \S{1,200} \S{1,200}: "
_KLOG = rf"^(?:\S+ std(?:out|err) [FP] |\[pod/\S+\] |{_JOURNAL})?[IWEF]\d{{4}} \d\d:\d\d:\d\d\.\d+ +\d+ "
_KLOG_JSON = r'^(?:[^{\n]{1,200} )?\{"ts":'
_OBJECTS = f"give the objects: {OBJECTS}"
LOG = _kind(
    rf"(?:{_KLOG}|{_KLOG_JSON})"
    r"(?:proxier\w*\.go|.*(?:[Pp]roxier|SyncProxyRules|Using \w+ [Pp]rox|[Ss]yncing \w+ rules))",
    "a log of kube-proxy",
    f"give the rules that it wrote: {RULES}; or the objects: {OBJECTS}; a log beside them says the mode; "
    "kpsim calibrate says of it what syncs cost",
)
KINDS = (
    LOG,
    _kind(rf"{_KLOG}\S+\.go:\d+\] |{_KLOG_JSON}", "a log of a Kubernetes component", _OBJECTS),
    _kind(
        r"^(?:# (?:HELP|TYPE) )?kubeproxy_\w+[ {]",
        "what kube-proxy's /metrics shows",
        f"kpsim metrics prints the same of a scenario; to make one, give the objects: {OBJECTS}; "
        "kpsim calibrate says of two scrapes what syncs cost",
    ),
    _kind(r"^# (?:HELP|TYPE) [A-Za-z_:][\w:]* ", "metrics in Prometheus' format", _OBJECTS),
    _kind(
        r"^(?:NAMESPACE +)?NAME +(?:\S.* )?(?:AGE|STATUS|READY|DATA)(?: |$)",
        "a table that kubectl prints for people, without selectors and ports of endpoints",
        f"print it with -o json: {OBJECTS}",
    ),
    _kind(
        r"^Name: +\S+\s*\n(?:Namespace|Labels|Roles|Annotations): ",
        "what kubectl describe prints for people",
        f"print it with -o json: {OBJECTS}",
    ),
    _kind(
        r"^(?:Error from server|error: |No resources found|The connection to the server |Unable to connect to )"
        r"|^(?:ip6?tables(?:-save)?|nft|ipvsadm)\b.*(?:[Pp]ermission denied|not permitted|must be root)",
        "the error that a tool printed, not its answer",
        f"run it again as one who may: {OBJECTS}; as root: {RULES}",
    ),
    _kind(
        r"^(?:create|add) KUBE-\S+ |^Name: KUBE-\S+\nType: ",
        "the sets that kube-proxy's rules ask in ipvs mode, without the virtual servers",
        "add what ipvsadm -Ln prints, and leave the sets out",
    ),
    _kind(
        r"^(?:ipv[46] +\d+ +)?(?:tcp|udp|sctp|icmp) +\d+ +\d+ .*src=|^cpu=\d+\s+.*(?:found|insert\w*)="
        r"|nf_conntrack_count *= *\d+|^conntrack v[\d.]+",
        "what connection tracking counts or holds, not what makes connections",
        f"give the rules: {RULES}; or the objects: {OBJECTS}",
    ),
    _kind(
        r"^ID +Frontend +Service Type +Backend",
        "the Services of another proxy, Cilium, as it lists them",
        _OBJECTS,
    ),
    _kind(r"^<(?:!DOCTYPE html|html)", "a web page", _OBJECTS),
)
LISTED_BY_NAME = _kind(
    r"^ *(?:\d+ +)?(?:\d+[KMGTP]? +\d+[KMGTP]? +)?KUBE-\S+ .*\bdpts?:[A-Za-z]",
    "what iptables -L prints without -n: ports are written as names",
    "print it with -n, or use iptables-save",
)


SERVERS_BY_NAME = _kind(
    r"^ *(?:TCP|UDP|SCTP|->) +(?![\d.]+:\d|\[|\S+:Port|[0-9A-F]{8}:)\S+:\w"
    r"|^ *(?:TCP|UDP|SCTP|->) +(?:[\d.]+|\[\S+\]):[A-Za-z]"
    r"|^ *-[Aa] -[tu] (?:(?![\d.]+:|\[)\S+:\w|(?:[\d.]+|\[\S+\]):[A-Za-z])",
    "what ipvsadm prints without -n: addresses and ports are written as names",
    "print it with -n: ipvsadm -Ln",
)


SERVERS_COUNTED = _kind(
    r"^Prot +LocalAddress:Port +(?:Conns|CPS) ",
    "what ipvsadm counts, without schedulers and weights",
    "print it without --stats and --rate: ipvsadm -Ln",
)


def misprinted(text: str) -> OtherKind | None:
    """Return the kind of rules that were printed without what is needed of them; ``None`` for all others."""
    return next(
        (kind for kind in (LISTED_BY_NAME, SERVERS_BY_NAME, SERVERS_COUNTED) if kind.pattern.search(text)), None
    )


def other_kind(text: str, *, begins: bool = False) -> OtherKind | None:
    """Return the kind of a text (or of its beginning) that holds neither rules nor documents; ``None`` if unknown.

    With ``begins`` it must do so from its first line on: quick, and safe before the text was tried as YAML.
    """
    text = text.replace("\r\n", "\n").lstrip("\n")
    if begins and not any(kind.pattern.match(text) for kind in KINDS):
        return None
    return next((kind for kind in KINDS if kind.pattern.search(text)), None)
