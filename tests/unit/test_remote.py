"""A Dask scheduler's workers give the same table, byte for byte, one of them killed midway."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpsim.errors import InputError, MissingExtra
from kpsim.experiment.executors.remote import connected
from kpsim.experiment.sweeps import sweep

HELLO = Path(__file__).parents[2] / "scenarios/hello.yaml"
AXIS = [("services.web.count", "1..60:lin:12")]
QUICK = [("run.replications", "2"), ("run.engine", "batch")]

Cluster = tuple[str, list[subprocess.Popen[bytes]]]


def started(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'kpsim[distributed]'")
    file = tmp_path / "scheduler.json"
    where = ("--scheduler-file", str(file))
    quiet = ("--no-dashboard", "--interface", "lo")
    processes = [started("scheduler", *where, "--port", "0", *quiet)]
    plain = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
    processes += [started("worker", *where, *plain, *quiet) for _ in range(2)]
    try:
        yield address_of(file), processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def address_of(file: Path, workers: int = 2) -> str:
    import json

    from distributed import Client

    until = time.monotonic() + 120
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.1)
    address = str(json.loads(file.read_text())["address"])
    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=120)
    return address


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Dask's own, not ours to mend
def test_a_table_is_the_same_on_workers_of_which_one_is_killed(cluster: Cluster) -> None:
    address, (_, first, _) = cluster
    done: list[int] = []

    def tell(points: int, of: int) -> None:
        done.append(points)
        if points == 3:
            first.kill()

    with connected(address) as executor:
        remote = sweep(HELLO, AXIS, QUICK, executor=executor, progress=tell)
    assert done[-1] == 12
    assert first.wait() != 0, "it was killed while others worked on"
    assert remote.to_csv() == sweep(HELLO, AXIS, QUICK).to_csv()


def test_a_missing_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'kpsim[distributed]'")
    monkeypatch.setattr("kpsim.experiment.executors.remote.PATIENCE_S", 1)
    with pytest.raises(InputError, match="no scheduler answers there"), connected("tcp://127.0.0.1:9"):
        pass


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kpsim\[distributed\]'"), connected("tcp://127.0.0.1:1"):
        pass
