"""kube-proxy's configuration, whoever packed it: kubeadm's, EKS's and others' ConfigMaps, and flags.

The name of a ConfigMap and of its key differ from one distribution to the next; what stands under the key is the same
text.  k3s and RKE2 have a configuration of their own, in which kube-proxy's flags are a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kpsim.documents import Document, load
from kpsim.kube.components.commands import Command, of_distribution

PROXY_CONFIGURATION = "KubeProxyConfiguration"
CLUSTER_CONFIGURATION = "ClusterConfiguration"
KIND_CLUSTER = "Cluster"  # of kind, Kubernetes in Docker
KIND_API = "kind.x-k8s.io/"
_PACKED = (PROXY_CONFIGURATION, CLUSTER_CONFIGURATION, "kube-proxy-arg", "cluster-cidr")

_TEXT, _TRUTH, _NUMBER, _LIST = "text", "truth", "number", "list"
_FLAGS: dict[str, tuple[str, str, str]] = {  # flag -> section ("mode": that of the mode that runs), key, type
    "proxy-mode": ("", "mode", _TEXT),
    "cluster-cidr": ("", "clusterCIDR", _TEXT),
    "detect-local-mode": ("", "detectLocalMode", _TEXT),
    "nodeport-addresses": ("", "nodePortAddresses", _LIST),
    "pod-bridge-interface": ("detectLocal", "bridgeInterface", _TEXT),
    "pod-interface-name-prefix": ("detectLocal", "interfaceNamePrefix", _TEXT),
    "masquerade-all": ("mode", "masqueradeAll", _TRUTH),
    "iptables-masquerade-bit": ("iptables", "masqueradeBit", _NUMBER),
    "iptables-localhost-nodeports": ("iptables", "localhostNodePorts", _TRUTH),
    "iptables-sync-period": ("mode", "syncPeriod", _TEXT),
    "iptables-min-sync-period": ("mode", "minSyncPeriod", _TEXT),
    "ipvs-scheduler": ("ipvs", "scheduler", _TEXT),
    "ipvs-strict-arp": ("ipvs", "strictARP", _TRUTH),
    "ipvs-sync-period": ("ipvs", "syncPeriod", _TEXT),
    "ipvs-min-sync-period": ("ipvs", "minSyncPeriod", _TEXT),
    "ipvs-tcp-timeout": ("ipvs", "tcpTimeout", _TEXT),
    "ipvs-tcpfin-timeout": ("ipvs", "tcpFinTimeout", _TEXT),
    "ipvs-udp-timeout": ("ipvs", "udpTimeout", _TEXT),
    "ipvs-exclude-cidrs": ("ipvs", "excludeCIDRs", _LIST),
    "conntrack-max-per-core": ("conntrack", "maxPerCore", _NUMBER),
    "conntrack-min": ("conntrack", "min", _NUMBER),
    "conntrack-tcp-be-liberal": ("conntrack", "tcpBeLiberal", _TRUTH),
}


def documents_in(data: Mapping[str, object], file: str) -> Iterator[Document]:
    """Yield the documents in a ConfigMap's ``data`` that say how the cluster's network is set up.

    Raises
    ------
    InputError
        where one is not YAML, with the line in the text that the ConfigMap holds.
    """
    for name, text in data.items():
        if isinstance(text, str) and any(sign in text for sign in _PACKED):
            yield from (at for at in load(text, f"{file} ({name})") if isinstance(at.data, dict))


def proxy_configuration(flags: Mapping[str, str]) -> dict[str, object]:
    """Return the ``KubeProxyConfiguration`` that flags of kube-proxy's stand for, as far as it is looked at."""
    made: dict[str, object] = {}
    mode = flags.get("proxy-mode") or "iptables"
    for name, text in flags.items():
        if name not in _FLAGS or not text:
            continue
        section, key, kind = _FLAGS[name]
        value = _typed(text, kind)
        if value is None or (key == "masqueradeAll" and mode not in ("iptables", "nftables", "ipvs")):
            continue
        if section:
            inner = made.setdefault(mode if section == "mode" else section, {})
            assert isinstance(inner, dict)
            inner[key] = value
        else:
            made[key] = value
    return made


def _typed(text: str, kind: str) -> object:
    """Return a flag's value; ``None`` where it is none of its kind, which kube-proxy would not have started with."""
    if kind == _TRUTH:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if kind == _NUMBER:
        return int(text) if text.isdecimal() and len(text) < 10 else None
    return [part.strip() for part in text.split(",")] if kind == _LIST else text


def commands_of(configuration: Mapping[str, object], said: str) -> Iterator[Command]:
    """Yield the command lines that k3s's or RKE2's configuration, or kind's or kubeadm's of a cluster, stands for."""
    if configuration.get("kind") == KIND_CLUSTER:
        network = _mapping(configuration.get("networking"))
        named = (("podSubnet", "cluster-cidr"), ("serviceSubnet", "service-cluster-ip-range"))
        yield Command("kubeadm", tuple((flag, str(network[key])) for key, flag in named if network.get(key)), "", said)
        if network.get("kubeProxyMode"):
            yield Command("kube-proxy", (("proxy-mode", str(network["kubeProxyMode"])),), "", said)
    elif configuration.get("kind") == CLUSTER_CONFIGURATION:
        network = _mapping(configuration.get("networking"))
        api = _mapping(configuration.get("apiServer")).get("extraArgs")
        listed = api if isinstance(api, list) else []  # since v1beta4 a list of names and values
        flags = {str(_mapping(at).get("name")): str(_mapping(at).get("value")) for at in listed}
        flags |= {str(name): str(value) for name, value in _mapping(api).items()}
        for key, flag in (("podSubnet", "cluster-cidr"), ("serviceSubnet", "service-cluster-ip-range")):
            if network.get(key):
                flags[flag] = str(network[key])
        version = str(configuration.get("kubernetesVersion") or "")
        yield Command("kubeadm", tuple(flags.items()), version, said)
    elif "kind" not in configuration:
        words: list[str] = []
        for name, value in configuration.items():
            words += [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]
        yield from of_distribution("k3s", words, said)


def replaced(data: Mapping[str, object], said: str) -> Iterator[Command]:
    """Yield the mode that a ConfigMap of Cilium's tells: with kube-proxy's replacement no kube-proxy writes rules."""
    if str(data.get("kube-proxy-replacement")).lower() in ("true", "strict"):
        yield Command("kube-proxy", (("proxy-mode", "ebpf"),), "", f"kube-proxy-replacement of {said}")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
