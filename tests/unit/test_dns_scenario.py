"""``spec.dns``: read, written back, and what it adds to a run and its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.dns.params import DnsParams
from kpsim.errors import GuardError, InputError
from kpsim.experiment.replications import run
from kpsim.experiment.result import Result
from kpsim.report.figures import dns, pictures
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import to_document, write_resolved

SMALL = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
spec:
  cluster: {nodes: 4, cores: 2}
  services: [{name: web, count: 20, endpoints: 2}]
  compare: {modes: [iptables, ipvs]}
  traffic: {connectionsPerSecondPerNode: 100, packetsPerConnection: 2}
  run: {duration: 20s, warmup: 2s, seed: 1, replications: 3, engine: batch, packets: 60k}
"""
FULL = """\
  dns:
    {clientsUseNames: true, names: namespaced, ndots: 2, nodeDomains: 1, library: musl, ttl: 5s, nodeLocal: true,
     replicas: 3, coresPerReplica: 1, raceProbability: 0.01, otherQueriesPerSecond: 1k}
"""


def scenario(tmp_path: Path, dns: str = "") -> Path:
    path = tmp_path / "dns.yaml"
    path.write_text(SMALL + dns, encoding="utf-8")
    return path


def test_every_key_is_read_and_written_back(tmp_path: Path) -> None:
    found = read(scenario(tmp_path, FULL))
    assert found.dns == DnsParams(True, "namespaced", 2, 1, "musl", 5.0, True, 3, 1, 0.01, 1000.0)
    (tmp_path / "again.yaml").write_text(write_resolved(found), encoding="utf-8")
    assert read(tmp_path / "again.yaml").dns == found.dns


def test_without_names_nothing_is_written_and_nothing_is_asked(tmp_path: Path) -> None:
    found = read(scenario(tmp_path))
    assert found.dns == DnsParams()
    assert "dns" not in to_document(found)["spec"]


@pytest.mark.parametrize(
    ("dns", "says"),
    [
        ("  dns: {ndots: 16}\n", "spec.dns.ndots"),
        ("  dns: {raceProbability: 2}\n", "spec.dns.raceProbability"),
        ("  dns: {ttl: 2h}\n", "spec.dns.ttl"),
        ("  dns: {names: long}\n", "spec.dns.names"),
        ("  dns: {name: short}\n", "spec.dns.name"),
        ("  dns: {replicas: 0}\n", "spec.dns.replicas"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path: Path, dns: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(scenario(tmp_path, dns))
    assert says in str(caught.value)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    dns = "  dns: {clientsUseNames: true, raceProbability: 0.01}\n"
    return run(scenario(tmp_path_factory.mktemp("dns"), dns))


def test_a_run_measures_lookups_and_whole_connections(result: Result) -> None:
    for found in result.modes.values():
        dns, absolute, whole, first = (
            found.summaries[name]
            for name in ("dns_latency", "dns_latency_absolute", "connection_latency", "first_packet_latency")
        )
        assert dns.n == absolute.n
        assert dns.n == pytest.approx(found.counts["connections"].value * result.scenario.run.replications)
        assert whole.n == first.n
        assert whole.mean.value == pytest.approx(dns.mean.value + first.mean.value, rel=1e-6)
        assert dns.quantiles["p50"].value / absolute.quantiles["p50"].value == pytest.approx(4.4, abs=0.3)
        assert dns.max > 5


def test_lookups_are_the_same_in_every_mode(result: Result) -> None:
    iptables, ipvs = (found.summaries["dns_latency"] for found in result.modes.values())
    assert iptables == ipvs


def test_the_reference_engine_sees_the_same_lookups(tmp_path: Path, result: Result) -> None:
    path = scenario(tmp_path, "  dns: {clientsUseNames: true, raceProbability: 0.01}\n")
    other = run(path, [("run.engine", "reference"), ("compare.modes", "ipvs")])
    assert other.modes["ipvs"].summaries["dns_latency"] == result.modes["ipvs"].summaries["dns_latency"]
    assert other.modes["ipvs"].summaries["connection_latency"] == result.modes["ipvs"].summaries["connection_latency"]


def test_addresses_need_no_lookups(tmp_path: Path) -> None:
    found = run(scenario(tmp_path), [("run.replications", "1"), ("compare.modes", "ipvs")])
    assert not {"dns_latency", "connection_latency", "dns_latency_absolute"} & set(found.modes["ipvs"].summaries)
    assert dns.picture(found) is None


def test_absolute_names_are_not_compared_with_themselves(tmp_path: Path) -> None:
    path = scenario(tmp_path, "  dns: {clientsUseNames: true, names: absolute}\n")
    found = run(path, [("run.replications", "1"), ("compare.modes", "ipvs")])
    assert "dns_latency_absolute" not in found.modes["ipvs"].summaries
    drawn = next(picture for picture in pictures(found) if picture.name == "dns")
    assert "absolute names" not in drawn.alt


def test_the_figure_says_how_many_wait_for_a_lost_answer(result: Result) -> None:
    drawn = next(picture for picture in pictures(result) if picture.name == "dns")
    assert drawn.title == dns.headline(result)
    assert "with absolute names" in drawn.title
    share = 1 - 0.99**4
    said = int(drawn.title.partition("1 in ")[2].split()[0])
    assert said == pytest.approx(1 / share, rel=0.15)


def test_how_near_core_dns_is_to_its_end_is_a_limit(tmp_path: Path, result: Result) -> None:
    found = next(limit for limit in result.limits if limit.name == "DNS queries")
    assert found.used == 4 * 100 * 8
    assert found.limit == pytest.approx(2 * 33_669, rel=0.01)
    cached = run(
        scenario(tmp_path, "  dns: {clientsUseNames: true, nodeLocal: true, otherQueriesPerSecond: 10}\n"),
        [("run.replications", "1"), ("compare.modes", "ipvs")],
    )
    # of each try's A and AAAA a share 1 / (1 + rate 5 s) is missed, of the address itself 1 / (1 + rate 30 s)
    rate = 100 / 20
    expected = 400 * (7 / (1 + 5 * rate) + 1 / (1 + 30 * rate)) + 10
    assert next(limit for limit in cached.limits if limit.name == "DNS queries").used == pytest.approx(expected)


def test_what_core_dns_can_never_answer_is_a_guards_business(tmp_path: Path) -> None:
    path = scenario(tmp_path, "  dns: {clientsUseNames: true, otherQueriesPerSecond: 1M}\n")
    with pytest.raises(GuardError, match="CoreDNS would be asked"):
        run(path)


def test_a_saturated_core_dns_is_said(tmp_path: Path, result: Result) -> None:
    path = scenario(tmp_path, "  dns: {clientsUseNames: true, otherQueriesPerSecond: 80k}\n")
    found = run(path, [("run.replications", "1"), ("compare.modes", "ipvs"), ("run.duration", "4s")])
    assert any("CoreDNS is asked 83,200 queries a second and can answer 67,340" in said for said in found.warnings)
    assert not any("CoreDNS" in said for said in result.warnings)
