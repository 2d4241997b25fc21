"""The scenario written back with every default made explicit: it reads the same whatever the defaults become."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.kube.writer import documents_of
from kpsim.proxy.params import LENT, Masquerade, NodeSettings, ProxyParams, WinkernelSettings
from kpsim.scenario.model import Scenario
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.sections.dns import dns_document
from kpsim.scenario.sections.events import event_document
from kpsim.units import format_duration

Part = dict[str, Any]

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def to_document(scenario: Scenario) -> Part:
    """The scenario as the mapping its file would hold, fully explicit; real objects under ``spec.objects``."""
    spec: Part = {
        "kubernetes": {"version": "{}.{}".format(*scenario.kubernetes_version)},
        "cluster": _cluster(scenario.cluster),
        "services": [_group(group) for group in scenario.groups],
        "apiServer": _api_server(scenario),
        "controllerManager": _controller_manager(scenario),
        "kubeProxy": kube_proxy_document(scenario.kube_proxy),
        "compare": {"modes": list(scenario.modes)},
        "traffic": {
            "connectionsPerSecondPerNode": scenario.traffic.connections_per_s_per_node,
            "packetsPerConnection": scenario.traffic.packets_per_connection,
            "packetInterval": format_duration(scenario.traffic.packet_interval_s),
            "popularity": {"zipf": scenario.traffic.zipf},
        },
        "changes": _changes(scenario),
        "faults": {
            "failedSyncs": scenario.faults.failed_syncs,
            "restartsPerNodePerHour": scenario.faults.restarts_per_hour,
            "ruleFlushesPerNodePerHour": scenario.faults.flushes_per_hour,
            "xtablesLock": {"held": scenario.faults.lock_held, "hold": format_duration(scenario.faults.lock_hold_s)},
        },
        **dns_document(scenario.dns),
        "profile": {
            "name": scenario.profile.name,
            "set": scenario.profile.set,
            "cacheWarmth": scenario.profile.cache_warmth,
        },
        "run": {
            "duration": format_duration(scenario.run.duration_s),
            "warmup": format_duration(scenario.run.warmup_s),
            "seed": scenario.run.seed,
            "replications": scenario.run.replications,
            "engine": scenario.run.engine,
            "packets": scenario.run.packets,
        },
        "thresholds": _thresholds(scenario),
        "objects": list(documents_of(scenario.objects)),
    }
    metadata = {"name": scenario.name, "description": scenario.description}
    return {"apiVersion": API_VERSION, "kind": "Scenario", "metadata": metadata, "spec": spec}


def write_resolved(scenario: Scenario) -> str:
    """The YAML text of :func:`to_document`; reads back to an equal scenario."""
    return as_text(to_document(scenario))


def as_text(document: Part) -> str:
    """A scenario document as YAML; each object is a line of JSON, which is YAML too and much faster to write."""
    spec = dict(document["spec"])
    objects: Iterable[object] = spec.pop("objects", ())
    head = yaml.dump(
        {**document, "spec": spec},
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )
    lines = [f"  - {_line(item)}\n" for item in objects]
    return str(head) + ("  objects:\n" if lines else "") + "".join(lines)


def _line(item: object) -> str:
    text = json.dumps(item, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _cluster(cluster: ClusterParams) -> Part:
    return {
        "nodes": cluster.nodes,
        "zones": cluster.zones,
        "cores": cluster.cores,
        "iptablesBackend": cluster.iptables_backend,
        "serviceClusterIPRange": cluster.service_cluster_ip_range,
        "podCIDR": cluster.pod_cidr,
        "serviceNodePortRange": "{}-{}".format(*cluster.service_node_port_range),
        "ipFamilies": ["IPv4", "IPv6"] if cluster.dual_stack else ["IPv4"],
    }


def _group(group: ServiceGroup) -> Part:
    return {
        "name": group.name,
        "count": group.count,
        "endpoints": _endpoints(group.endpoints),
        "namespace": group.namespace,
        "type": group.type,
        **({"clusterIP": "None"} if group.headless else {}),
        "ports": group.ports,
        "protocol": group.protocol,
        "sessionAffinity": group.session_affinity,
        "internalTrafficPolicy": group.internal_traffic_policy,
        "externalTrafficPolicy": group.external_traffic_policy,
        "ipFamilyPolicy": group.ip_family_policy,
    }


def _endpoints(count: EndpointCount) -> int | Part:
    if count == EndpointCount(mean=count.mean) and count.mean.is_integer():
        return int(count.mean)
    drawn: Part = {"distribution": count.distribution, "mean": count.mean, "sigma": count.sigma, "min": count.min}
    return drawn if count.max is None else {**drawn, "max": count.max}


def _controller_manager(scenario: Scenario) -> Part:
    params = scenario.controller_manager
    period = params.endpointslice_updates_batch_period_s
    written = {
        "qps": params.qps,
        "burst": params.burst,
        "concurrentServiceEndpointSyncs": params.concurrent_service_endpoint_syncs,
        "maxEndpointsPerSlice": params.max_endpoints_per_slice,
        "endpointSliceUpdatesBatchPeriod": None if period is None else format_duration(period),
        "endpointsController": params.endpoints_controller,
    }
    return {key: value for key, value in written.items() if value is not None}


def _api_server(scenario: Scenario) -> Part:
    params = scenario.api_server
    written = {
        "replicas": params.replicas,
        "maxRequestsInflight": params.max_requests_inflight,
        "maxMutatingRequestsInflight": params.max_mutating_requests_inflight,
        "egressBytesPerSecond": params.egress_bytes_per_s,
        "cores": params.cores,
        "borrowSeats": params.borrow_seats,
        "objectSizes": params.object_sizes,
        "priorityAndFairness": params.priority_and_fairness,
    }
    return {key: value for key, value in written.items() if value is not None}


def kube_proxy_document(params: ProxyParams) -> Part:
    """A KubeProxyConfiguration as a mapping: each mode's periods and marks in its own section; it reads back equal."""
    sections: dict[str, Part] = {}
    own = (params.mode, params.min_sync_period_s, params.sync_period_s)
    for mode, minimum, period in [own, *((at.mode, at.min_sync_period_s, at.sync_period_s) for at in params.periods)]:
        written = {"minSyncPeriod": minimum, "syncPeriod": period}
        sections[mode] = {key: format_duration(value) for key, value in written.items() if value is not None}
    settings = params.settings
    marks = {at: Masquerade(at) for at in ("iptables", "nftables")} | {at.mode: at for at in settings.masquerade}
    for mode, mark in marks.items():
        sections.setdefault(mode, {})["masqueradeAll"] = mark.all
        if mode not in LENT:
            sections[mode]["masqueradeBit"] = mark.bit
    sections["iptables"]["localhostNodePorts"] = settings.localhost_node_ports
    sections.setdefault("ipvs", {}).update(_ipvs(params))
    limits = {
        "maxPerCore": params.conntrack_max_per_core,
        "min": params.conntrack_min,
        "tcpBeLiberal": settings.conntrack_tcp_be_liberal,
    }
    modes = {mode: at for mode, at in sections.items() if at}
    windows = _winkernel(settings.winkernel)
    return {"mode": params.mode, **_detection(settings), **modes, **windows, "conntrack": limits}


def _winkernel(settings: WinkernelSettings) -> Part:
    """A Windows node's section, if anything is set; the endpoint for health checks is known by its being there."""
    forwards = {"forwardHealthCheckVip": True, "rootHnsEndpointName": "cbr0"}
    written = {
        **({"enableDSR": True} if settings.enable_dsr else {}),
        **({"sourceVip": settings.source_vip} if settings.source_vip else {}),
        **(forwards if settings.forward_health_check_vip else {}),
    }
    return {"winkernel": written} if written else {}


def _ipvs(params: ProxyParams) -> Part:
    ipvs = params.settings.ipvs
    return {
        "scheduler": params.ipvs_scheduler,
        "strictARP": ipvs.strict_arp,
        "tcpTimeout": format_duration(ipvs.tcp_timeout_s),
        "tcpFinTimeout": format_duration(ipvs.tcp_fin_timeout_s),
        "udpTimeout": format_duration(ipvs.udp_timeout_s),
        "excludeCIDRs": list(ipvs.exclude_cidrs),
    }


def _detection(settings: NodeSettings) -> Part:
    """How Pods of a node are told, and where NodePorts answer; without ``clusterCIDR`` the cluster's ``podCIDR``."""
    interfaces = {
        "bridgeInterface": settings.bridge_interface,
        "interfaceNamePrefix": settings.interface_name_prefix,
    }
    return {
        **({} if settings.cluster_cidr is None else {"clusterCIDR": settings.cluster_cidr}),
        "detectLocalMode": settings.detect_local_mode,
        "detectLocal": interfaces,
        "nodePortAddresses": list(settings.node_port_addresses),
    }


def _changes(scenario: Scenario) -> Part:
    events = [event_document(event) for event in scenario.events]
    return {"churn": _churn(scenario), **({"events": events} if events else {})}


def _churn(scenario: Scenario) -> Part:
    churn = scenario.churn
    written: Part = {
        "podReplacementsPerSecond": churn.pod_replacements_per_s,
        "servicesCreatedPerSecond": churn.services_created_per_s,
    }
    if churn.pod_shutdown_s is not None:
        written["podShutdown"] = format_duration(churn.pod_shutdown_s)
    if churn.pre_stop_s is not None:
        written["preStop"] = format_duration(churn.pre_stop_s)
    return written


def _thresholds(scenario: Scenario) -> dict[str, list[str]]:
    written: dict[str, list[str]] = {}
    for threshold in scenario.thresholds:
        written.setdefault(threshold.measure, []).append(threshold.text)
    return written
