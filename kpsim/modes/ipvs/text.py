"""The tools make a kernel like the rules from this text: sysctl, ipset, ip, ipvsadm and iptables-restore.

kube-proxy itself speaks netlink to IPVS and starts an ipset process for each set and entry; this is the same content
for a person, or for a kernel that shall be like a cluster's node.
"""

from __future__ import annotations

from collections.abc import Iterator

from kpsim.modes.ipvs.chains import jumps_of
from kpsim.modes.ipvs.ipsets import MAX_ELEMENTS, SETS, kernel_name
from kpsim.modes.ipvs.program import IpvsRules, VirtualService
from kpsim.proxy.rules import FILTER

SERVICE_OPTION = {"TCP": "-t", "UDP": "-u", "SCTP": "--sctp-service"}
HASH_SIZE = 1024
DEVICE = "kube-ipvs0"
SYSCTLS = {
    "net.ipv4.vs.conntrack": 1,
    "net.ipv4.vs.expire_nodest_conn": 1,
    "net.ipv4.vs.expire_quiescent_template": 1,
    "net.ipv4.ip_forward": 1,
}
STRICT_ARP = {"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2}


def script_lines(rules: IpvsRules) -> Iterator[str]:
    """Yield a shell script that makes an empty network namespace like the node."""
    restore = "iptables-restore" if rules.config.ip_family == "IPv4" else "ip6tables-restore"
    yield from kernel_lines(rules)
    parts = {
        "ipset restore -exist": ipset_lines(rules),
        "ip -batch -": address_lines(rules),
        "ipvsadm -R": ipvsadm_lines(rules),
        f"{restore} --noflush": iptables_lines(rules, jumps=True),
    }
    for tool, lines in parts.items():
        yield f"{tool} <<'END'"
        yield from lines
        yield "END"


def kernel_lines(rules: IpvsRules) -> Iterator[str]:
    """Yield kube-proxy's settings at its start: kernel parameters, and IPVS' timeouts where the configuration has any.

    Left out: conn_reuse_mode, which it sets on kernels before 5.9 only.
    Source: pkg/proxy/ipvs/proxier.go (NewProxier), cmd/kube-proxy/app/server_linux.go.
    """
    config, ipvs = rules.config, rules.config.ipvs
    settings = SYSCTLS | (STRICT_ARP if ipvs.strict_arp else {})
    if config.conntrack_max:
        settings["net.netfilter.nf_conntrack_max"] = config.conntrack_max
    if config.conntrack_tcp_be_liberal:
        settings["net.netfilter.nf_conntrack_tcp_be_liberal"] = 1
    yield from (f"sysctl -w {name}={value}" for name, value in settings.items())
    timeouts = (ipvs.tcp_timeout_s, ipvs.tcp_fin_timeout_s, ipvs.udp_timeout_s)
    if any(timeouts):  # those that are 0 stay as they are
        yield "ipvsadm --set " + " ".join(str(int(timeout_s)) for timeout_s in timeouts)
    if ipvs.exclude_cidrs:
        yield f"# virtual servers in {', '.join(ipvs.exclude_cidrs)} are not kube-proxy's; it leaves them alone"


def ipvsadm_lines(rules: IpvsRules) -> Iterator[str]:
    """For ``ipvsadm -R``: each virtual server, then its real servers, masquerading as kube-proxy has them."""
    for service in rules.services.values():
        at = _at(service)
        yield server_line(service)
        yield from (f"-a {at} -r {server.address} -m -w {server.weight}" for server in service.real_servers)


def server_line(service: VirtualService) -> str:
    """Return one virtual server as ``ipvsadm`` takes it."""
    persistence = f" -p {service.persistence_s}" if service.persistence_s else ""
    flags = f" -b {service.flags}" if service.flags else ""
    return f"-A {_at(service)} -s {service.scheduler}{persistence}{flags}"


def _at(service: VirtualService) -> str:
    ip = f"[{service.ip}]" if ":" in service.ip else service.ip
    return f"{SERVICE_OPTION[service.protocol]} {ip}:{service.port}"


def ipset_lines(rules: IpvsRules) -> Iterator[str]:
    """For ``ipset restore -exist``: all sets, then the entries of each in order of their text."""
    family = rules.config.ip_family
    protocol = "inet" if family == "IPv4" else "inet6"
    for kind in (SETS[name] for name in rules.sets):
        size = "range 0-65535"
        if kind.type.startswith("hash"):
            size = f"family {protocol} hashsize {HASH_SIZE} maxelem {MAX_ELEMENTS}"
        yield f"create {kernel_name(kind.name, family)} {kind.type} {size}"
    for name, entries in rules.sets.items():
        yield from (f"add {kernel_name(name, family)} {entry}" for entry in sorted(entries))


def iptables_lines(rules: IpvsRules, *, jumps: bool = False) -> Iterator[str]:
    """For ``iptables-restore --noflush``: nat, then filter; with ``jumps`` also the rules that lead there.

    kube-proxy makes sure of the jumps one by one before, each in front of those that are there.
    """
    for table in ("nat", "filter"):
        names = [name for name in rules.chains if name.endswith(FILTER) == (table == "filter")]
        yield f"*{table}"
        yield from (f":{name.removesuffix(FILTER)} - [0:0]" for name in names)
        for jump in jumps_of(rules.config.kubernetes_version) if jumps else ():
            if jump.table == table:
                yield f'-I {jump.chain} -m comment --comment "{jump.comment}" -j {jump.target}'
        for name in names:
            yield from (rule.render(name.removesuffix(FILTER)) for rule in rules.chains[name])
        yield "COMMIT"


def address_lines(rules: IpvsRules) -> Iterator[str]:
    """For ``ip -batch``: the device that never sends, and every address the node takes for its Services."""
    yield f"link add {DEVICE} type dummy"
    bits = 32 if rules.config.ip_family == "IPv4" else 128
    yield from (f"addr add {ip}/{bits} dev {DEVICE}" for ip in rules.bound)
