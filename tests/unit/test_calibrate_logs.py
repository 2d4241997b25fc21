"""kube-proxy's logs become the same syncs, whatever generation wrote them and whatever wrapped them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kpsim.calibration.logs import read_log, read_text
from kpsim.calibration.logs.syncs import FAILED, MINGLED
from kpsim.calibration.logs.texts import LONGEST_LINE
from kpsim.errors import InputError

SINCE_1_20 = (1, 20), (99, 99)
HNS = '"Syncing proxy rules complete" elapsed="2s"'
BEGUN = '"Syncing iptables rules"'
COUNTS = "numFilterChains=6 numFilterRules=4 numNATChains=9 numNATRules=48"


def klog(*messages: str, second: float = 0.0, step: float = 0.1, caller: str = "proxier.go:822") -> list[str]:
    """Messages with klog's header, a step of time after one another."""
    return [f"I0105 10:00:{second + k * step:09.6f}       1 {caller}] {text}" for k, text in enumerate(messages)]


CURRENT = klog(
    '"Syncing iptables rules" ipFamily="IPv4" fullSync=false',
    f'"Reloading service iptables data" ipFamily="IPv4" numServices=30 numEndpoints=75 {COUNTS}',
    '"SyncProxyRules complete" ipFamily="IPv4" elapsed="93.2ms"',
)


@pytest.mark.parametrize(
    ("lines", "since", "until", "mode", "took_s"),
    [
        (klog("syncProxyRules took 61.631223ms", caller="proxier.go:751"), (0, 0), (1, 20), "", 0.061631223),
        (klog(BEGUN, '"SyncProxyRules complete" elapsed="1m2.5s"'), (1, 20), (1, 30), "iptables", 62.5),
        (klog('"syncProxyRules complete" elapsed="412µs"', caller="ipvs/proxier.go:9"), *SINCE_1_20, "ipvs", 412e-6),
        (
            klog(
                '"Syncing iptables rules"',
                f'"Reloading service iptables data" numServices=30 numEndpoints=75 {COUNTS}',
                '"SyncProxyRules complete" elapsed="93.2ms"',
            ),
            (1, 24), (1, 30), "iptables", 0.0932,
        ),
        (
            klog(
                '"NFTables sync params" ipFamily="IPv4" minSyncPeriod="1s" syncPeriod="30s" burstSyncs=2',
                '"Syncing nftables rules" ipFamily="IPv4"',
                '"Reloading service nftables data" ipFamily="IPv4" numServices=30 numEndpoints=75',
                '"SyncProxyRules complete" ipFamily="IPv4" elapsed="93.2ms"',
            ),
            (1, 31), (1, 32), "nftables", 0.0932,
        ),
        (CURRENT, (1, 33), (99, 99), "iptables", 0.0932),
        (klog(HNS, caller="winkernel/proxier.go:5"), *SINCE_1_20, "kernelspace", 2.0),
    ],
)  # fmt: skip
def test_every_generation_is_read(
    lines: list[str], since: tuple[int, int], until: tuple[int, int], mode: str, took_s: float
) -> None:
    found = read_log("\n".join(lines), "log")
    assert [reading.took_s for reading in found.readings] == [pytest.approx(took_s)]
    assert (found.since, found.until, found.mode) == (since, until, mode)
    if "numServices=30" in "".join(lines):
        assert (found.readings[0].services, found.readings[0].endpoints) == (30, 75)
    if COUNTS in "".join(lines):
        assert found.readings[0].written == 48


def as_json(line: str) -> str:
    """One of klog's lines as its JSON."""
    message, _, rest = line.partition("] ")[2].removeprefix('"').partition('"')
    pairs = (word.partition("=") for word in rest.split())
    values: dict[str, object] = {key: json.loads(text) for key, _, text in pairs}
    second = float(line.split()[1].rpartition(":")[2])
    return json.dumps(
        {"ts": 1e12 + 1e3 * second, "caller": "iptables/proxier.go:822", "msg": message, "v": 2, **values}
    )


WRAPPERS: dict[str, Callable[[str], str]] = {
    "plain": lambda line: line,
    "json": as_json,
    "prefix": lambda line: f"[pod/kube-proxy-abcde/kube-proxy] {line}",
    "prefix and times": lambda line: f"[pod/kube-proxy-abcde/kube-proxy] 2026-01-05T10:00:00.1Z {line}",
    "stern": lambda line: f"kube-proxy-abcde kube-proxy {line}",
    "docker": lambda line: json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-01-05T10:00:00.1Z"}),
    "docker and json": lambda line: json.dumps({"log": as_json(line) + "\n", "stream": "stderr"}),
    "cri": lambda line: f"2026-01-05T10:00:00.123456789+01:00 stderr F {line}",
    "cri and json": lambda line: f"2026-01-05T10:00:00.123456789Z stdout F {as_json(line)}",
    "journald": lambda line: f"Jan  5 10:00:00 node-1 kube-proxy.daemon[123]: {line}",
    "journald iso": lambda line: f"2026-01-05T10:00:00+0000 node-1 kube-proxy[123]: {line}",
    "journald json": lambda line: json.dumps({"_HOSTNAME": "node-1", "_PID": "123", "MESSAGE": line}),
    "windows lines": lambda line: line + "\r",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_wrapper_leaves_the_same_syncs(wrapper: str) -> None:
    wrapped = [WRAPPERS[wrapper](line) for line in CURRENT]
    assert read_log("\n".join(wrapped), "log").readings == read_log("\n".join(CURRENT), "log").readings


def test_text_and_json_in_one_file_are_both_read() -> None:
    found = read_log("\n".join([*CURRENT, "kubectl said something", *map(as_json, CURRENT)]), "log")
    assert [each.services for each in found.readings] == [30, 30]


@pytest.mark.parametrize("pack", [gzip.compress, lambda raw: gzip.compress(raw[:50]) + gzip.compress(raw[50:])])
def test_gzip_and_utf16_are_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    text = "\n".join(CURRENT)
    (tmp_path / "a.gz").write_bytes(pack(text.encode()))
    (tmp_path / "b.log").write_bytes(text.encode("utf-16"))
    assert read_text(tmp_path / "a.gz") == read_text(tmp_path / "b.log") == text


@pytest.mark.parametrize(
    ("elapsed", "took_s"),
    [('"1m2.5s"', 62.5), ('"93.2ms"', 0.0932), ('"412µs"', 412e-6), ('"412us"', 412e-6),
     ('"13m15.34210662s"', 795.34210662),
     ("93200000", 0.0932), ("0.0932", 0.0932)],
)  # fmt: skip
def test_durations_of_go_and_of_json(elapsed: str, took_s: float) -> None:
    line = f'{{"ts":1,"caller":"a.go:1","msg":"SyncProxyRules complete","elapsed":{elapsed}}}'
    assert read_log(line, "log").readings[0].took_s == pytest.approx(took_s)


def test_two_families_that_interleave_are_kept_apart() -> None:
    lines = klog(
        '"Syncing iptables rules" ipFamily="IPv4" fullSync=true',
        '"Syncing iptables rules" ipFamily="IPv6" fullSync=false',
        f'"Reloading service iptables data" ipFamily="IPv6" numServices=3 numEndpoints=7 {COUNTS}',
        f'"Reloading service iptables data" ipFamily="IPv4" numServices=30 numEndpoints=75 {COUNTS}',
        '"SyncProxyRules complete" ipFamily="IPv6" elapsed="300ms"',
        '"SyncProxyRules complete" ipFamily="IPv4" elapsed="500ms"',
    )
    found = [(each.services, each.full, each.took_s) for each in read_log("\n".join(lines), "log").readings]
    assert found == [(3, False, 0.3), (30, True, 0.5)]


def test_families_without_names_are_paired_by_duration_or_left_out() -> None:
    apart = klog(
        '"Syncing iptables rules"',
        f'"Reloading service iptables data" numServices=30 numEndpoints=75 {COUNTS}',
        '"Syncing iptables rules"',
        '"SyncProxyRules complete" elapsed="300ms"',
        f'"Reloading service iptables data" numServices=3 numEndpoints=7 {COUNTS}',
        '"SyncProxyRules complete" elapsed="300ms"',
    )
    found = read_log("\n".join(apart), "log")
    assert [each.services for each in found.readings] == [30, 3]
    at_once = [
        apart[0],
        apart[2],
        apart[1].replace("00.1", "00.3"),
        *klog('"SyncProxyRules complete" elapsed="400ms"', second=0.4),
    ]
    alone = klog('"SyncProxyRules complete" elapsed="10ms"', second=2.0)
    found = read_log("\n".join([*at_once, *alone]), "log")
    assert any(MINGLED in note for note in found.notes)


def test_failed_syncs_are_left_out_and_the_next_is_full() -> None:
    failed = klog('"Syncing iptables rules" ipFamily="IPv4"', '"Sync failed" ipFamily="IPv4" retryingTime="30s"',
                  '"SyncProxyRules complete" ipFamily="IPv4" elapsed="8ms"')  # fmt: skip
    found = read_log("\n".join([*failed, *CURRENT, *CURRENT]), "log")
    assert [each.after_failure for each in found.readings] == [True, False]
    assert any(FAILED in note for note in found.notes)


def test_the_first_sync_of_each_start_is_first() -> None:
    start = klog('"Version info" version="v1.31.5"', '"Using iptables Proxier"')
    sync = [line.replace(" fullSync=false", "") for line in CURRENT]
    found = read_log("\n".join([*sync, *start, *sync, *sync, *start, *sync]), "log")
    assert [each.first for each in found.readings] == [False, True, False, True]
    assert found.version == (1, 31)


def test_pods_in_one_log_do_not_mingle() -> None:
    one, two = ([f"[pod/kube-proxy-{name}/kube-proxy] {line}" for line in CURRENT] for name in "ab")
    found = read_log("\n".join(line for pair in zip(one, two, strict=True) for line in pair), "log")
    assert [each.services for each in found.readings] == [30, 30]
    assert "2 kube-proxies" in " ".join(found.notes)


def test_service_ports_are_counted_where_no_line_says_their_number() -> None:
    ports = klog(
        '"Using iptables Proxier"',
        '"Adding new service port" portName="default/a:http" servicePort="10.0.0.1:80/TCP"',
        '"Adding new service port" portName="default/b:http" servicePort="10.0.0.2:80/TCP"',
        'Adding new service port "default/c:http" at 10.0.0.3:80/TCP',
        '"Removing service port" portName="default/a:http"',
        '"SyncProxyRules complete" elapsed="20ms"',
        caller="service.go:390",
    )
    assert read_log("\n".join(ports), "log").readings[0].services == 2
    assert read_log("\n".join(ports[1:]), "log").readings[0].services is None, "a rotated piece has not the first ones"


OLD = klog(*(f"syncProxyRules took {20 + k}.631223ms" for k in range(3)), caller="proxier.go:751")


def test_of_several_releases_the_newest_is_taken_whatever_stands_first() -> None:
    """A node that was upgraded, pieces of its log in the wrong order, and nodes of two releases in one log."""
    pods = [
        f"[pod/kube-proxy-{name}/kube-proxy] {line}" for name, lines in (("a", OLD), ("b", CURRENT)) for line in lines
    ]
    for lines in ([*OLD, *CURRENT], [*CURRENT, *OLD], pods, pods[::-1]):
        found = read_log("\n".join(lines), "log")
        assert [each.took_s for each in found.readings] == [0.0932]
        assert (found.since, found.until) == ((1, 33), (99, 99))
        assert "3 syncs left out: their kube-proxy was of another release" in " ".join(found.notes)
    upgrade = [*klog('"Version info" version="v1.33.9"'), *CURRENT, *klog('"Version info" version="v1.34.2"'), *CURRENT]
    found = read_log("\n".join(upgrade), "log")
    assert (found.version, len(found.readings)) == ((1, 34), 1)


def test_a_named_release_holds_whatever_its_lines_look_like() -> None:
    named = [*klog('"Version info" version="v1.30.5+vendor1"'), *CURRENT]
    found = read_log("\n".join(named), "log")
    assert (found.version, len(found.readings)) == ((1, 30), 1)


def test_a_duration_that_was_cut_off_is_no_minute() -> None:
    found = read_log("\n".join(OLD)[:-1], "log")
    assert [round(each.took_s, 6) for each in found.readings] == [0.020631, 0.021631]


def test_windows_line_ends_and_a_torn_line_change_nothing() -> None:
    torn = [*CURRENT, CURRENT[1][:90] + CURRENT[0], *CURRENT]
    assert len(read_log("\n".join(torn), "log").readings) == 2
    whole, dos = (read_log(end.join([*CURRENT, *CURRENT]), "log") for end in ("\n", "\r\n"))
    assert whole == dos


QUIET = klog('"hello"', caller="server.go:225")
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ":1:1: is empty"),
    "blank": (b" \n\n", ":1:1: is empty"),
    "binary": (b"I0105\n\x89\xff\xfe\x00", ":2:1: is not text"),
    "nul": (b"I0105\nab\x00c", ":2:3: is not text"),
    "truncated gzip": (gzip.compress("\n".join(CURRENT).encode())[:-9], ": the gzip file is cut off"),
    "damaged gzip": (b"\x1f\x8b\x08\x00" + b"x" * 40, ": the gzip file is damaged"),
    "no log": (b"hello\nworld\n", ":1:1: is no log of kube-proxy"),
    "long line": (b"I0105 x\n" + b"a" * (LONGEST_LINE + 2), ":2:33554433: the line is longer"),
    "metrics": ("\n".join([*CURRENT, "# TYPE kubeproxy_x counter"]).encode(), ":4:1: metrics among the lines of a log"),
    "quiet log": ("\n".join(QUIET).encode(), ":1:1: 1 lines of klog's, and none is of a sync"),
    "two modes": (
        "\n".join([*CURRENT, *(line.replace("iptables", "nftables") for line in CURRENT)]).encode(),
        ":1:1: syncs of modes iptables and nftables in one log",
    ),
    "durations": (
        "\n".join(klog('"SyncProxyRules complete" elapsed="soon"')).encode(),
        "a duration that cannot be read",
    ),
    "deep json": (b'{"log":' * 5000, ":1:1: is no log of kube-proxy"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_a_place(tmp_path: Path, name: str) -> None:
    raw, says = HOSTILE[name]
    path = tmp_path / "x.log"
    path.write_bytes(raw)
    with pytest.raises(InputError) as refused:
        read_log(read_text(path), str(path))
    first = str(refused.value).split("\n")[0]
    assert first.startswith(f"{path}:")
    assert says in first
    assert len(str(refused.value)) < 500


def test_counts_that_no_cluster_has_are_not_believed() -> None:
    lines = [line.replace("numServices=30", "numServices=1e300").replace("=75", "=-4") for line in CURRENT]
    found = read_log("\n".join(lines), "log").readings[0]
    assert found.services is None
    assert found.endpoints is None
