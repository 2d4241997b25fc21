"""Tasks go through one executor interface, and a lost process costs no more than its own task."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from kpsim.errors import GuardError
from kpsim.experiment import workers
from kpsim.experiment.replications import BEGUN, WHOLE, run_scenario
from kpsim.experiment.workers import Here, Warm, executing, finished
from kpsim.report.directory import summary_json
from kpsim.scenario.reader import read


def square(number: int) -> int:
    return number * number


def own_id(_: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def fatal(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def wrong(number: int) -> int:
    raise ValueError(f"no {number}")


def answers(executor: Executor, function: Callable[[int], int], count: int) -> dict[int, int | BaseException]:
    with closing(finished({n: (n,) for n in range(count)}, function, executor)) as each:
        return {key: future.exception() or future.result() for key, future in each}


@pytest.mark.parametrize("kind", ["here", "warm", "threads"])
def test_every_executor_gives_the_same_answers(kind: str) -> None:
    given = ThreadPoolExecutor(2) if kind == "threads" else None
    with executing(1 if kind == "here" else 2, given) as executor:
        assert answers(executor, square, 20) == {n: n * n for n in range(20)}
        failed = answers(executor, wrong, 2)
        assert [str(failed[n]) for n in (0, 1)] == ["no 0", "no 1"]
    if given:
        given.shutdown()


def test_what_an_answer_asks_for_is_done_too() -> None:
    for given in (None, ThreadPoolExecutor(2)):
        with executing(1, given) as executor:
            tasks, found = {n: (n,) for n in (2, 3)}, {}
            with closing(finished(tasks, square, executor)) as each:
                for key, future in each:
                    found[key] = future.result()
                    if found[key] < 100:
                        tasks[found[key]] = (found[key],)
        assert found == {2: 4, 4: 16, 16: 256, 3: 9, 9: 81, 81: 6561}
        if given:
            given.shutdown()


def test_replications_in_parts_are_those_in_whole() -> None:
    """Three replications on two threads: the last one's control plane first, then its modes apart."""
    scenario = read(
        "scenarios/hello.yaml", [("run.engine", "batch"), ("run.replications", "3"), ("run.duration", "20s")]
    )
    assert len(scenario.modes) > 1
    told: list[tuple[int, int]] = []
    with Pair(2) as threads:
        parts = run_scenario(scenario, executor=threads, progress=lambda *seen: told.append(seen))
    assert [task[3] for task in threads.tasks] == [BEGUN, WHOLE, WHOLE, *range(len(scenario.modes))]
    assert summary_json(parts) == summary_json(run_scenario(scenario))
    assert told[-1] == (3 * len(scenario.modes),) * 2
    with Distant(2) as threads:
        assert summary_json(run_scenario(scenario, executor=threads)) == summary_json(parts)
    assert [task[3] for task in threads.tasks] == [WHOLE] * 3


class Pair(ThreadPoolExecutor):
    """Two threads, and what they were given."""

    hands = 2

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.tasks: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks.append(args)
        return super().submit(fn, *args, **kwargs)


class Distant(Pair):
    carries = False


def test_processes_that_rest_are_gone_and_come_again() -> None:
    with executing(2) as executor:
        assert isinstance(executor, Warm)
        first = set(answers(executor, own_id, 4).values())
        executor.rest()
        assert not {worker.pid for worker in multiprocessing.active_children()} & first
        assert not set(answers(executor, own_id, 4).values()) & first


def test_processes_start_once_and_serve_every_round() -> None:
    with executing(2) as executor:
        seen = {key for _ in range(3) for key in answers(executor, own_id, 6).values()}
    assert 1 <= len(seen) <= 2
    assert os.getpid() not in seen


def test_a_task_that_kills_its_process_fails_alone() -> None:
    with executing(2) as executor:
        found = answers(executor, fatal, 9)
        assert isinstance(found.pop(3), GuardError)
        assert found == {n: n for n in range(9) if n != 3}
        assert answers(executor, square, 3) == {0: 0, 1: 1, 2: 4}, "others take the place of the lost ones"


def test_what_is_under_way_is_dropped_when_nobody_waits() -> None:
    with executing(2) as executor:
        assert isinstance(executor, Warm)
        with closing(finished({n: (0.0 if n == 0 else 60.0,) for n in range(8)}, time.sleep, executor)) as each:
            assert next(each)[0] == 0
        began = time.monotonic()
    assert time.monotonic() - began < 30


def test_processes_that_end_as_tasks_are_dropped_leave_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    usual = Warm.renew

    def late(executor: Warm) -> None:
        for worker in multiprocessing.active_children():
            worker.terminate()
        time.sleep(0.3)  # the pool has seen it
        usual(executor)

    monkeypatch.setattr(threading, "excepthook", said.append)
    monkeypatch.setattr(workers, "AHEAD", 4)  # so that some have not begun
    monkeypatch.setattr(Warm, "renew", late)
    with closing(finished({n: (0.0 if n == 0 else 60.0,) for n in range(8)}, time.sleep, Warm(2))) as each:
        next(each)
    assert said == []


def test_ctrl_c_in_this_process_is_nobodys_answer() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Here().submit(interrupted)
