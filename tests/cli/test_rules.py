"""``kpsim rules``: everything a node has, or what a partial sync writes after some Services have changed."""

from __future__ import annotations

import pytest

from tests.cli.shell import SERVICES, SMALL, Answer, Shell


def rules(kpsim: Shell, *options: str, text: str = SMALL) -> Answer:
    return kpsim("rules", kpsim.write("it.yaml", text), *options)


def own_chains(answer: Answer) -> set[str]:
    return {line.split()[0][1:] for line in answer.out.splitlines() if line.startswith((":KUBE-SVC", ":KUBE-SEP"))}


def test_a_partial_sync_of_iptables_writes_the_top_and_the_changed(kpsim: Shell) -> None:
    everything, some = rules(kpsim), rules(kpsim, "--changed", "default/web-1")
    assert (some.code, some.err) == (0, "")
    assert len(own_chains(everything)) == 6
    assert len(own_chains(some)) == 3
    assert own_chains(some) < own_chains(everything)
    lines = some.out.splitlines()
    assert set(lines) < set(everything.out.splitlines())
    top = [line for line in lines if line.startswith(("-A KUBE-SERVICES", "-A KUBE-FORWARD"))]
    assert top == [line for line in everything.out.splitlines() if line.startswith(("-A KUBE-SERVICES", "-A KUBE-FOR"))]
    assert rules(kpsim, "--changed", "web-0", "--changed", "default/web-1").out == everything.out


def test_a_partial_sync_of_nftables_rewrites_the_chains_and_no_element(kpsim: Shell) -> None:
    some = rules(kpsim, "--mode", "nftables", "--changed", "web-1")
    assert (some.code, some.err) == (0, "")
    lines = some.out.splitlines()
    verbs = [" ".join(line.split()[:2]) for line in lines]
    assert {verb: verbs.count(verb) for verb in set(verbs)} == {"add chain": 3, "flush chain": 3, "add rule": 6}
    assert all("default/web-1" in line.split()[4] for line in lines)


@pytest.mark.parametrize(("mode", "version"), [("ipvs", "1.34"), ("iptables", "1.26")])
def test_where_there_is_no_partial_sync_everything_is_printed_and_said(kpsim: Shell, mode: str, version: str) -> None:
    options = ("--mode", mode, "--set", f"kubernetes.version={version}")
    everything, some = rules(kpsim, *options), rules(kpsim, *options, "--changed", "web-1")
    assert some.out == everything.out
    assert (
        f"warning: kube-proxy mode {mode} has no partial sync in Kubernetes {version}: this is everything" in some.err
    )
    assert everything.err == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [("default/wbe-1", "did you mean default/web-1?"), ("kube-system/web-0", "did you mean default/web-0?"),
     ("web", "did you mean default/web-0?")],
)  # fmt: skip
def test_a_service_that_is_not_there_is_answered_with_the_nearest(kpsim: Shell, name: str, says: str) -> None:
    answer = rules(kpsim, "--changed", name)
    assert answer.code == 3
    assert says in answer.err
    assert answer.out == ""


def test_a_headless_service_changes_no_rules(kpsim: Shell) -> None:
    assert own_chains(rules(kpsim, "--changed", "each", text=SERVICES)) == set()


@pytest.mark.parametrize("version", ["1.23", "1.24", "1.26", "1.34"])
@pytest.mark.parametrize("name", ["web", "door", "front", "lost"])
def test_services_are_explained_in_every_layout(kpsim: Shell, version: str, name: str) -> None:
    file = kpsim.write("objects.yaml", SERVICES)
    answer = kpsim(
        "explain", "service", name, "-f", file, "--mode", "iptables", "--set", f"kubernetes.version={version}"
    )
    assert answer.code == 0
    if name == "front":
        assert ("KUBE-EXT-" in answer.out.partition("what the first")[0]) == (version >= "1.24")


def test_a_service_without_a_local_endpoint_is_dropped_by_a_mark_in_1_24(kpsim: Shell) -> None:
    text = SMALL.replace("nodes: 2", "nodes: 40").replace(
        "endpoints: 2}", "endpoints: 2, internalTrafficPolicy: Local}"
    )
    options = ("-f", kpsim.write("it.yaml", text), "--set", "kubernetes.version=1.24")
    answer = kpsim("explain", "service", "web-1", *options)
    assert answer.code == 0
    packet = kpsim("explain", "packet", "--to", "default/web-1", "--node", "node-9", *options)
    assert "KUBE-MARK-DROP" in packet.out
    assert "dropped" in packet.out


def test_ipv6_rules_are_those_of_the_ipv6_addresses(kpsim: Shell) -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  clusterIP: 10.96.0.7\n"
        "  clusterIPs: [10.96.0.7, 'fd00:96::7']\n  ipFamilies: [IPv4, IPv6]\n  ipFamilyPolicy: PreferDualStack\n"
        "  ports: [{port: 80}]\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv6\n"
        "metadata: {name: web-6, labels: {kubernetes.io/service-name: web}}\nports: [{name: '', port: 8080}]\n"
        "endpoints: [{addresses: ['fd00:1::5'], nodeName: node-0}]\n"
    )
    file = kpsim.write("objects.yaml", service)
    answer = kpsim("rules", file, "--family", "IPv6")
    assert answer.code == 0
    assert "-d fd00:96::7/128 -p tcp" in answer.out
    assert "--to-destination [fd00:1::5]:8080" in answer.out
    assert "10.96.0.7" not in answer.out
