"""A pasted KubeProxyConfiguration: what the model takes from it, and what is odd about the rest.

kube-proxy has many keys the model does not look at; they pass.  A key it does not have is a warning, because
configurations outlive versions; a key it *nearly* has is an error, because then somebody's setting does nothing.
What a setting means is held to kube-proxy's own rules (pkg/proxy/apis/config/validation), as far as it is taken.

Source: staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from kpsim.documents import Key, dotted
from kpsim.errors import Problem, did_you_mean, nearest
from kpsim.proxy.params import (
    DETECT_LOCAL_MODES,
    IPVS_SCHEDULERS,
    PRIMARY,
    IpvsSettings,
    Masquerade,
    ModePeriods,
    NodeSettings,
    ProxyParams,
    WinkernelSettings,
)
from kpsim.scenario.schema import (
    DetectLocalPart,
    IptablesPart,
    IpvsPart,
    KubeProxyPart,
    ModePart,
    WinkernelPart,
)
from kpsim.scenario.tree import Tree
from kpsim.scenario.words import problems_of

KUBE_PROXY = ("spec", "kubeProxy")
DEFAULT_MODE = "iptables"  # what kube-proxy takes on Linux when mode is empty
LONGEST_INTERFACE = 15  # the kernel's IFNAMSIZ, without the zero at the end
INTERFACE_OF = {"BridgeInterface": "bridgeInterface", "InterfaceNamePrefix": "interfaceNamePrefix"}

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
            if near := nearest(str(name), names, 0.75):
                mend = f"did you mean {near}?"
                problems.append(tree.problem((*key, name), "is not a key of kube-proxy's", mend, on_key=True))
            else:
                warnings.append(f"{dotted((*key, name))} is not a key of kube-proxy's; it does nothing")
    return problems, warnings


def proxy_params(part: KubeProxyPart, tree: Tree) -> tuple[ProxyParams, list[Problem]]:
    """What the model takes from the configuration: mode, periods of each mode, conntrack limits, what rules show."""
    sections, problems = _sections(part, tree)
    problems += _oddities(part, tree)
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
        ipvs_scheduler=(ipvs.scheduler if ipvs else None) or default.ipvs_scheduler,
        conntrack_max_per_core=default.conntrack_max_per_core if limits[0] is None else limits[0],
        conntrack_min=default.conntrack_min if limits[1] is None else limits[1],
        periods=periods,
        settings=_settings(part, sections),
    )
    return params.for_mode(mode), problems


def _settings(part: KubeProxyPart, sections: dict[str, ModePart]) -> NodeSettings:
    """What of the configuration shows in rules; where nothing is written, Kubernetes' defaults."""
    iptables, ipvs = part.iptables or IptablesPart(), part.ipvs or IpvsPart.model_validate({})
    detect = part.detect_local or DetectLocalPart()
    default = NodeSettings()
    masquerade = [
        Masquerade(name, bool(at.masquerade_all), 14 if at.masquerade_bit is None else at.masquerade_bit)
        for name, at in sections.items()
    ]
    localhost = iptables.localhost_node_ports
    return NodeSettings(
        masquerade=tuple(at for at in masquerade if at != Masquerade(at.mode)),
        localhost_node_ports=default.localhost_node_ports if localhost is None else localhost,
        node_port_addresses=tuple(part.node_port_addresses or ()),
        cluster_cidr=part.cluster_cidr,
        detect_local_mode=part.detect_local_mode or default.detect_local_mode,
        bridge_interface=detect.bridge_interface or "",
        interface_name_prefix=detect.interface_name_prefix or "",
        conntrack_tcp_be_liberal=bool(part.conntrack and part.conntrack.tcp_be_liberal),
        ipvs=IpvsSettings(
            strict_arp=bool(ipvs.strict_arp),
            tcp_timeout_s=ipvs.tcp_timeout or 0.0,
            tcp_fin_timeout_s=ipvs.tcp_fin_timeout or 0.0,
            udp_timeout_s=ipvs.udp_timeout or 0.0,
            exclude_cidrs=tuple(ipvs.exclude_cidrs or ()),
        ),
        winkernel=_winkernel(part.winkernel or WinkernelPart.model_validate({})),
    )


def _winkernel(part: WinkernelPart) -> WinkernelSettings:
    """A Windows node's settings; health checks are forwarded to the endpoint that is named, so one must be."""
    return WinkernelSettings(
        enable_dsr=bool(part.enable_dsr),
        source_vip=part.source_vip or "",
        forward_health_check_vip=bool(part.forward_health_check_vip and part.root_hns_endpoint_name),
    )


def _oddities(part: KubeProxyPart, tree: Tree) -> Iterator[Problem]:
    """Settings that are well written and that kube-proxy would still not start with."""
    yield from _detector_problems(part, tree)
    cluster = part.cluster_cidr or ""
    for cidr in cluster.split(",") if cluster else ():
        yield from _range_problems(cidr.strip(), (*KUBE_PROXY, "clusterCIDR"), tree)
    addresses = part.node_port_addresses or ()
    for index, cidr in enumerate(addresses):
        key = (*KUBE_PROXY, "nodePortAddresses", index)
        if cidr != PRIMARY:
            yield from _range_problems(cidr, key, tree, addresses=(PRIMARY,))
        elif len(addresses) > 1:
            yield tree.problem(key, f"{PRIMARY} stands alone or not at all", "leave out the other addresses")
    if part.ipvs:
        for index, cidr in enumerate(part.ipvs.exclude_cidrs or ()):
            yield from _range_problems(cidr, (*KUBE_PROXY, "ipvs", "excludeCIDRs", index), tree)
        scheduler = part.ipvs.scheduler
        if scheduler and scheduler not in IPVS_SCHEDULERS:
            what = f"{scheduler[:40]!r} is not a scheduler of IPVS"
            mend = did_you_mean(scheduler, IPVS_SCHEDULERS) or f"there are {', '.join(IPVS_SCHEDULERS)}"
            yield tree.problem((*KUBE_PROXY, "ipvs", "scheduler"), what, mend)


def _range_problems(cidr: str, key: Key, tree: Tree, addresses: Sequence[str] = ()) -> Iterator[Problem]:
    """What is wrong with one range of addresses, IPv4 or IPv6; ``addresses`` are words that may stand there too."""
    try:
        ipaddress.ip_network(cidr, strict=False)
        if "/" in cidr:
            return
        mend = f"did you mean {ipaddress.ip_network(cidr)}?"
    except ValueError:
        mend = did_you_mean(cidr, addresses) or "write e.g. 10.244.0.0/16"
    yield tree.problem(key, f"{cidr[:60]!r} is not a range of addresses", mend)


def _detector_problems(part: KubeProxyPart, tree: Tree) -> Iterator[Problem]:
    """What is wrong with how this node's Pods are told from others."""
    mode, detect = part.detect_local_mode or "", part.detect_local or DetectLocalPart()
    if mode and mode not in DETECT_LOCAL_MODES:
        what = f"{mode[:40]!r} is not a detectLocalMode"
        mend = did_you_mean(mode, DETECT_LOCAL_MODES) or f"there are {', '.join(DETECT_LOCAL_MODES)}"
        yield tree.problem((*KUBE_PROXY, "detectLocalMode"), what, mend)
    names = {"bridgeInterface": detect.bridge_interface, "interfaceNamePrefix": detect.interface_name_prefix}
    wanted = INTERFACE_OF.get(mode)
    if wanted and not names[wanted]:
        example = "cni0" if mode == "BridgeInterface" else "veth"
        mend = f"write detectLocal: {{{wanted}: {example}}}"
        yield tree.problem((*KUBE_PROXY, "detectLocalMode"), f"{mode} needs detectLocal.{wanted}", mend)
    for name, written in names.items():
        if written and not _is_interface(written):
            what = f"{written[:40]!r} is not the name of an interface"
            mend = f"at most {LONGEST_INTERFACE} characters, without spaces, '/', '+', '*' and quotes"
            yield tree.problem((*KUBE_PROXY, "detectLocal", name), what, mend)


def _is_interface(name: str) -> bool:
    """Whether the kernel takes ``name`` for an interface, and the tools of rules take it for one and no pattern."""
    return len(name) <= LONGEST_INTERFACE and name.isprintable() and not set(name) & set(" /+*\"'!")


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
