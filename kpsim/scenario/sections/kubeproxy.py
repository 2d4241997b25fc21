"""A pasted KubeProxyConfiguration: what the model takes from it, and what is odd about the rest.

kube-proxy has many keys the model does not look at; they pass.  A key it does not have is a warning, because
configurations outlive versions; a key it *nearly* has is an error, because then somebody's setting does nothing.
What a setting means is held to kube-proxy's own rules (pkg/proxy/apis/config/validation), as far as it is taken.

Source: staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from kpsim.documents import Key, dotted
from kpsim.errors import did_you_mean, nearest
from kpsim.proxy.params import (
    DETECT_LOCAL_MODES,
    IPVS_SCHEDULERS,
    LENT,
    PRIMARY,
    IpvsSettings,
    Masquerade,
    ModePeriods,
    NodeSettings,
    ProxyParams,
    WinkernelSettings,
)
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.keys.reading import Reader
from kpsim.scenario.keys.writing import written
from kpsim.scenario.schema import (
    ConntrackSection,
    DetectLocalSection,
    IptablesSection,
    IpvsSection,
    KubeProxySection,
    ModeSection,
    WinkernelSection,
)
from kpsim.units import format_duration

KUBE_PROXY = ("spec", "kubeProxy")
DEFAULT_MODE = "iptables"  # what kube-proxy takes on Linux when mode is empty
SYNC_PERIOD_S = 30.0  # kube-proxy's, where nothing is written (v1alpha1/defaults.go)
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


def check_keys(complaints: Complaints) -> None:
    """Complain of near-misspellings of kube-proxy's keys, and warn of keys it does not have at all."""
    from kpsim.proxy.registry import MODES

    for section, known in _KNOWN.items():
        key: Key = (*KUBE_PROXY, section) if section else KUBE_PROXY
        there = complaints.tree.at(key)
        if not isinstance(there, dict):
            continue
        names = (*known, *MODES) if not section else known
        for name in (name for name in there if name not in names):
            homes = [home for home, keys in _KNOWN.items() if name in keys]
            near = nearest(str(name), names, 0.75)
            if homes or near:
                mend = f"did you mean {near}?" if not homes else _belongs(str(name), homes)
                complaints.problem((*key, name), "is not a key of kube-proxy's", mend, on_key=True)
            else:
                complaints.warning(f"{dotted((*key, name))} is not a key of kube-proxy's; it does nothing")


def _belongs(name: str, homes: Sequence[str]) -> str:
    """Return the sections of a KubeProxyConfiguration that have a key, for a message."""
    return f"{name} belongs under {' or '.join(dotted((*KUBE_PROXY, home) if home else KUBE_PROXY) for home in homes)}"


def proxy_params(part: KubeProxySection, reader: Reader, complaints: Complaints) -> ProxyParams:
    """Return the model's part of the configuration: mode, periods, conntrack limits, settings that rules show."""
    sections = _sections(part, reader, complaints)
    _check(part, complaints)
    _check_periods(sections, part.mode or DEFAULT_MODE, complaints)
    # A period of zero is "not set" to kube-proxy, and takes the mode's default.
    periods = tuple(
        ModePeriods(name, section.min_sync_period_s or None, section.sync_period_s or None)
        for name, section in sections.items()
        if section.min_sync_period_s is not None or section.sync_period_s is not None
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
    return params.for_mode(mode)


def _settings(part: KubeProxySection, sections: dict[str, ModeSection]) -> NodeSettings:
    """Return the settings that show in rules; where nothing is written, Kubernetes' defaults."""
    iptables, ipvs = part.iptables or IptablesSection(), part.ipvs or IpvsSection()
    detect = part.detect_local or DetectLocalSection()
    default = NodeSettings()
    masquerade = [
        Masquerade(name, bool(own.masquerade_all), 14 if own.masquerade_bit is None else own.masquerade_bit)
        for name, own in sections.items()
    ]
    localhost = iptables.localhost_node_ports
    return NodeSettings(
        masquerade=tuple(mark for mark in masquerade if mark != Masquerade(mark.mode)),
        localhost_node_ports=default.localhost_node_ports if localhost is None else localhost,
        node_port_addresses=tuple(part.node_port_addresses or ()),
        cluster_cidr=part.cluster_cidr,
        detect_local_mode=part.detect_local_mode or default.detect_local_mode,
        bridge_interface=detect.bridge_interface or "",
        interface_name_prefix=detect.interface_name_prefix or "",
        conntrack_tcp_be_liberal=bool(part.conntrack and part.conntrack.tcp_be_liberal),
        ipvs=IpvsSettings(
            strict_arp=bool(ipvs.strict_arp),
            tcp_timeout_s=ipvs.tcp_timeout_s or 0.0,
            tcp_fin_timeout_s=ipvs.tcp_fin_timeout_s or 0.0,
            udp_timeout_s=ipvs.udp_timeout_s or 0.0,
            exclude_cidrs=tuple(ipvs.exclude_cidrs or ()),
        ),
        winkernel=_winkernel(part.winkernel or WinkernelSection()),
    )


def _winkernel(part: WinkernelSection) -> WinkernelSettings:
    """A Windows node's settings; health checks are forwarded to the endpoint that is named, so one must be."""
    return WinkernelSettings(
        enable_dsr=bool(part.enable_dsr),
        source_vip=part.source_vip or "",
        forward_health_check_vip=bool(part.forward_health_check_vip and part.root_hns_endpoint_name),
    )


def _check(part: KubeProxySection, complaints: Complaints) -> None:
    """Complain of settings that are well written and that kube-proxy would still not start with."""
    _check_detector(part, complaints)
    cluster = part.cluster_cidr or ""
    for cidr in cluster.split(",") if cluster else ():
        _check_range(cidr.strip(), (*KUBE_PROXY, "clusterCIDR"), complaints)
    addresses = part.node_port_addresses or ()
    for index, cidr in enumerate(addresses):
        key = (*KUBE_PROXY, "nodePortAddresses", index)
        if cidr != PRIMARY:
            _check_range(cidr, key, complaints, addresses=(PRIMARY,))
        elif len(addresses) > 1:
            complaints.problem(key, f"{PRIMARY} stands alone or not at all", "leave out the other addresses")
    if part.ipvs:
        for index, cidr in enumerate(part.ipvs.exclude_cidrs or ()):
            _check_range(cidr, (*KUBE_PROXY, "ipvs", "excludeCIDRs", index), complaints)
        scheduler = part.ipvs.scheduler
        if scheduler and scheduler not in IPVS_SCHEDULERS:
            what = f"{scheduler[:40]!r} is not a scheduler of IPVS"
            mend = did_you_mean(scheduler, IPVS_SCHEDULERS) or f"there are {', '.join(IPVS_SCHEDULERS)}"
            complaints.problem((*KUBE_PROXY, "ipvs", "scheduler"), what, mend)


def _check_periods(sections: Mapping[str, ModeSection], mode: str, complaints: Complaints) -> None:
    """Complain of a minSyncPeriod above the syncPeriod: kube-proxy looks at iptables' own and at those of its mode."""
    for name in dict.fromkeys(("iptables", mode)):
        section = sections.get(name)
        least, most = (section.min_sync_period_s or 0.0, section.sync_period_s) if section else (0.0, None)
        if least > (most or SYNC_PERIOD_S):
            is_usual = "" if most else ", which is 30s where nothing is written"
            what = f"{format_duration(least)} is longer than the syncPeriod{is_usual}"
            mend = f"with it kube-proxy does not start; write syncPeriod: {format_duration(least)} or more beside it"
            complaints.problem((*KUBE_PROXY, name, "minSyncPeriod"), what, mend)


def _check_range(cidr: str, key: Key, complaints: Complaints, addresses: Sequence[str] = ()) -> None:
    """Complain of what is no range of addresses, IPv4 or IPv6; ``addresses`` are words that may stand there too."""
    try:
        ipaddress.ip_network(cidr, strict=False)
        if "/" in cidr:
            return
        mend = f"did you mean {ipaddress.ip_network(cidr)}?"
    except ValueError:
        mend = did_you_mean(cidr, addresses) or "write e.g. 10.244.0.0/16"
    complaints.problem(key, f"{cidr[:60]!r} is not a range of addresses", mend)


def _check_detector(part: KubeProxySection, complaints: Complaints) -> None:
    """Complain of how this node's Pods are told from others, where it cannot be."""
    mode, detect = part.detect_local_mode or "", part.detect_local or DetectLocalSection()
    if mode and mode not in DETECT_LOCAL_MODES:
        what = f"{mode[:40]!r} is not a detectLocalMode"
        mend = did_you_mean(mode, DETECT_LOCAL_MODES) or f"there are {', '.join(DETECT_LOCAL_MODES)}"
        complaints.problem((*KUBE_PROXY, "detectLocalMode"), what, mend)
    names = {"bridgeInterface": detect.bridge_interface, "interfaceNamePrefix": detect.interface_name_prefix}
    wanted = INTERFACE_OF.get(mode)
    if wanted and not names[wanted]:
        example = "cni0" if mode == "BridgeInterface" else "veth"
        mend = f"write detectLocal: {{{wanted}: {example}}}"
        complaints.problem((*KUBE_PROXY, "detectLocalMode"), f"{mode} needs detectLocal.{wanted}", mend)
    for name, interface in names.items():
        if interface and not _is_interface(interface):
            what = f"{interface[:40]!r} is not the name of an interface"
            mend = f"at most {LONGEST_INTERFACE} characters, without spaces, '/', '+', '*' and quotes"
            complaints.problem((*KUBE_PROXY, "detectLocal", name), what, mend)


def _is_interface(name: str) -> bool:
    """Return True if the kernel takes ``name`` for an interface, and the tools of rules for one and no pattern."""
    return len(name) <= LONGEST_INTERFACE and name.isprintable() and not set(name) & set(" /+*\"'!")


def _sections(part: KubeProxySection, reader: Reader, complaints: Complaints) -> dict[str, ModeSection]:
    """The section of each mode there is, also of one registered after this file was written."""
    from kpsim.proxy.registry import MODES

    named = {name: getattr(part, name) for name in ("iptables", "ipvs", "nftables")}
    found = {name: section for name, section in named.items() if section is not None}
    there = complaints.tree.at(KUBE_PROXY)
    for name, section in there.items() if isinstance(there, dict) else ():
        if name in MODES and name not in found and section is not None and not hasattr(part, name):
            found[name] = reader.read(ModeSection, section, (*KUBE_PROXY, name))
    return found


def kube_proxy_document(params: ProxyParams) -> dict[str, Any]:
    """Return the configuration written back: each mode's periods and marks in its own section, as kube-proxy wants it.

    Without ``clusterCIDR`` the cluster's ``podCIDR`` stands for it.
    """
    settings, windows = params.settings, params.settings.winkernel
    own = ModePeriods(params.mode, params.min_sync_period_s, params.sync_period_s)
    periods = {each.mode: each for each in (own, *params.periods)}
    marks = {mode: Masquerade(mode) for mode in ("iptables", "nftables")}
    marks |= {mark.mode: mark for mark in settings.masquerade}

    def about(mode: str) -> dict[str, Any]:
        every, mark = periods.get(mode, ModePeriods(mode)), marks.get(mode)
        bit = None if mark is None or mode in LENT else mark.bit
        return {
            "min_sync_period_s": every.min_sync_period_s,
            "sync_period_s": every.sync_period_s,
            "masquerade_all": mark and mark.all,
            "masquerade_bit": bit,
        }

    configuration = KubeProxySection(
        mode=params.mode,
        cluster_cidr=settings.cluster_cidr,
        detect_local_mode=settings.detect_local_mode,
        detect_local=DetectLocalSection(settings.bridge_interface, settings.interface_name_prefix),
        node_port_addresses=settings.node_port_addresses,
        iptables=IptablesSection(**about("iptables"), localhost_node_ports=settings.localhost_node_ports),
        ipvs=IpvsSection(**about("ipvs"), scheduler=params.ipvs_scheduler, **_fields(settings.ipvs)),
        nftables=ModeSection(**about("nftables")),
        winkernel=None if windows == WinkernelSettings() else _written_windows(windows),
        conntrack=ConntrackSection(
            params.conntrack_max_per_core, params.conntrack_min, settings.conntrack_tcp_be_liberal
        ),
    )
    others = {mode: written(ModeSection(**about(mode))) for mode in periods | marks if not hasattr(configuration, mode)}
    return {**written(configuration), **{mode: section for mode, section in others.items() if section}}


def _fields(settings: IpvsSettings) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _written_windows(settings: WinkernelSettings) -> WinkernelSection:
    """A Windows node's settings; which endpoint health checks come from is not kept, only that there is one."""
    forwards = settings.forward_health_check_vip
    return WinkernelSection(settings.source_vip, settings.enable_dsr, "cbr0" if forwards else None, forwards)
