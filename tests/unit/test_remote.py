"""A Dask scheduler's workers give the same table, byte for byte, one of them killed midway."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpsim.errors import InputError, MissingExtra
from kpsim.experiment.executors.remote import connected
from kpsim.experiment.sweeps import sweep
from tests.cli.shell import SMALL
from tests.dask_cluster import DaskCluster, two_workers

AXIS = [("services.web.count", "1..6:lin:6")]
KILLED_AT = 2  # points


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'kpsim[distributed]'")
    with two_workers(tmp_path) as made:
        yield made


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Dask's own, not ours to mend
def test_a_table_is_the_same_on_workers_of_which_one_is_killed(cluster: DaskCluster, tmp_path: Path) -> None:
    first, _ = cluster.workers
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SMALL, encoding="utf-8")
    done: list[int] = []

    def tell(points: int, of: int) -> None:
        done.append(points)
        if points == KILLED_AT:
            first.kill()

    with connected(cluster.address) as executor:
        remote = sweep(scenario, AXIS, executor=executor, progress=tell)
    assert done[-1] == 6
    assert first.wait() != 0, "it was killed while others worked on"
    assert remote.to_csv() == sweep(scenario, AXIS).to_csv()


def test_a_missing_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'kpsim[distributed]'")
    monkeypatch.setattr("kpsim.experiment.executors.remote.PATIENCE_S", 1)
    with pytest.raises(InputError, match="no scheduler answers there"), connected("tcp://127.0.0.1:9"):
        pass


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kpsim\[distributed\]'"), connected("tcp://127.0.0.1:1"):
        pass
