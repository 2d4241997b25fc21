"""A pasted KubeProxyConfiguration: what the model takes from it, and what is odd about the rest.

kube-proxy has many keys the model does not look at; they pass.  A key it does not have is a warning, because
configurations outlive versions; a key it *nearly* has is an error, because then somebody's setting does nothing.

Source: staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go.
"""

from __future__ import annotations

import difflib

from pydantic import ValidationError

from kpsim.documents import Key, dotted
from kpsim.errors import Problem
from kpsim.proxy.params import ModePeriods, ProxyParams
from kpsim.scenario.schema import KubeProxyPart, ModePart
from kpsim.scenario.tree import Tree
from kpsim.scenario.words import problems_of

__all__ = ["odd_keys", "proxy_params"]

KUBE_PROXY = ("spec", "kubeProxy")
DEFAULT_MODE = "iptables"  # what kube-proxy takes on Linux when mode is empty

_PERIODS = ("minSyncPeriod", "syncPeriod")
_MODE_KEYS = (*_PERIODS, "masqueradeAll", "masqueradeBit")
_KNOWN: dict[str, tuple[str, ...]] = {
    "": (
        "apiVersion", "kind", "mode", "bindAddress", "bindAddressHardFail", "clientConnection", "clusterCIDR",
        "configSyncPeriod", "conntrack", "detectLocal", "detectLocalMode", "enableProfiling", "featureGates",
        "healthzBindAddress", "hostnameOverride", "iptables", "ipvs", "nftables", "logging", "metricsBindAddress",
        "nodePortAddresses", "oomScoreAdj", "portRange", "showHiddenMetricsForVersion", "winkernel",
        "windowsRunAsService", "udpIdleTimeout", "resourceContainer",
    ),
    "iptables": (*_MODE_KEYS, "localhostNodePorts"),
    "nftables": _MODE_KEYS,
    "ipvs": (
        *_PERIODS, "scheduler", "excludeCIDRs", "strictARP", "tcpTimeout", "tcpFinTimeout", "udpTimeout",
        "masqueradeAll",
    ),
    "conntrack": (
        "maxPerCore", "min", "max", "tcpBeLiberal", "tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout",
        "udpStreamTimeout",
    ),
    "winkernel": ("networkName", "sourceVip", "enableDSR", "rootHnsEndpointName", "forwardHealthCheckVip"),
    "clientConnection": ("kubeconfig", "acceptContentTypes", "contentType", "qps", "burst"),
    "detectLocal": ("bridgeInterface", "interfaceNamePrefix", "clusterCIDRs"),
}  # fmt: skip


def odd_keys(tree: Tree) -> tuple[list[Problem], list[str]]:
    """Problems for near-misspellings of kube-proxy's keys, warnings for keys it does not have at all."""
    from kpsim.proxy.registry import MODES

    problems: list[Problem] = []
    warnings: list[str] = []
    for section, known in _KNOWN.items():
        key: Key = (*KUBE_PROXY, section) if section else KUBE_PROXY
        written = tree.at(key)
        if not isinstance(written, dict):
            continue
        names = (*known, *MODES) if not section else known
        for name in (name for name in written if name not in names):
            folded = {word.lower(): word for word in names}
            near = difflib.get_close_matches(str(name).lower(), list(folded), 1, 0.75)
            if near:
                mend = f"did you mean {folded[near[0]]}?"
                problems.append(tree.problem((*key, name), "is not a key of kube-proxy's", mend, on_key=True))
            else:
                warnings.append(f"{dotted((*key, name))} is not a key of kube-proxy's; it does nothing")
    return problems, warnings


def proxy_params(part: KubeProxyPart, tree: Tree) -> tuple[ProxyParams, list[Problem]]:
    """What the model takes from the configuration: mode, periods of each mode, conntrack limits."""
    sections, problems = _sections(part, tree)
    # A period of zero is "not set" to kube-proxy, and takes the mode's default.
    periods = tuple(
        ModePeriods(name, section.min_sync_period or None, section.sync_period or None)
        for name, section in sections.items()
        if section.min_sync_period is not None or section.sync_period is not None
    )
    default, mode = ProxyParams(), part.mode or DEFAULT_MODE
    conntrack, ipvs = part.conntrack, part.ipvs
    limits = (conntrack.max_per_core, conntrack.min) if conntrack else (None, None)
    params = ProxyParams(
        mode=mode,
        masquerade_all=any(section.masquerade_all for section in sections.values()),
        ipvs_scheduler=(ipvs.scheduler if ipvs else None) or default.ipvs_scheduler,
        conntrack_max_per_core=default.conntrack_max_per_core if limits[0] is None else limits[0],
        conntrack_min=default.conntrack_min if limits[1] is None else limits[1],
        periods=periods,
    )
    return params.for_mode(mode), problems


def _sections(part: KubeProxyPart, tree: Tree) -> tuple[dict[str, ModePart], list[Problem]]:
    """The section of each mode there is, also of one registered after this file was written."""
    from kpsim.proxy.registry import MODES

    found = {name: at for name in ("iptables", "ipvs", "nftables") if (at := getattr(part, name)) is not None}
    problems: list[Problem] = []
    for name, raw in (part.model_extra or {}).items():
        if name in MODES:
            try:
                found[name] = ModePart.model_validate(raw)
            except ValidationError as error:
                problems += problems_of(error, tree, (*KUBE_PROXY, name))
    return found, problems
