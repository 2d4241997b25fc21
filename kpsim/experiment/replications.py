"""An experiment: the same question asked several times under different draws, and answered with intervals.

Replications are independent and may run in parallel; each simulates all modes on the same draws.  Results do not
depend on how many jobs there are, because draws are keyed by replication, and sums are taken in its order.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from kpsim.cluster.columns import Cluster
from kpsim.collector import give_back
from kpsim.experiment.answers.assembled import assemble
from kpsim.experiment.guard import check_size
from kpsim.experiment.observing.observations import Observations
from kpsim.experiment.observing.observe import observe
from kpsim.experiment.result import Result
from kpsim.experiment.workers import Here, carries, executing, finished, hands_of
from kpsim.measure.intervals import GROUPS
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import Sent, build_cluster, choose_engine, prepare, run_control_plane, run_mode

Progress = Callable[[int, int], None]  # mode runs done, of how many
WHOLE, BEGUN = -1, -2  # parts of a replication: all of it, its control plane; a mode's by its place


def run(
    path: str | Path,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
) -> Result:
    """Read a scenario (or a dump of Kubernetes objects) and run it.

    Raises
    ------
    InputError
        with everything that is wrong in the file.
    GuardError
        if it would take more memory than ``most_bytes``, or longer than ``most_s``.
    """
    return run_scenario(read(path, overrides), jobs=jobs, progress=progress, most_bytes=most_bytes, most_s=most_s)


def run_scenario(
    scenario: Scenario,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    most_bytes: float | None = None,
    most_s: float | None = None,
    executor: Executor | None = None,
) -> Result:
    """Run every replication under every mode and sum up; ``executor`` is used instead of ``jobs`` local processes.

    Interrupted after at least one replication, it sums up what there is and says ``complete=False``.
    """
    hands = hands_of(executor) if executor else jobs
    most = check_size(scenario, most_bytes, most_s, jobs=hands).processes
    engine, reason = choose_engine(scenario)
    cluster, warnings = build_cluster(scenario)  # here too, so that a scenario that cannot be built fails at once
    numbers, modes = range(scenario.run.replications), len(scenario.modes)
    done: dict[int, dict[int, Observations]] = {number: {} for number in numbers}
    tell = progress or (lambda _done, _total: None)
    try:
        with executing(min(most, len(numbers)), executor) as chosen:
            for number, seen in _spread(scenario, engine, chosen, most, cluster):
                done[number] |= seen
                tell(sum(map(len, done.values())), len(numbers) * modes)
                _pool_stages(_whole(done, modes))
                give_back()
    except KeyboardInterrupt:
        if not _whole(done, modes):
            raise
    whole = _whole(done, modes)
    runs = {mode: [seen[m] for seen in whole] for m, mode in enumerate(scenario.modes)}
    result = assemble(scenario, cluster, runs, engine, reason, warnings)
    return replace(result, complete=len(whole) == len(numbers))


def _whole(done: Mapping[int, dict[int, Observations]], modes: int) -> list[dict[int, Observations]]:
    """Return the replications that ran under all modes, in their order."""
    return [seen for seen in done.values() if len(seen) == modes]


def _pool_stages(whole: Sequence[dict[int, Observations]]) -> None:
    """Add the tallies of stages, which are only looked at together, to those of the first, and keep no others."""
    for seen in whole[1:]:
        for m, each in seen.items():
            for name, tally in each.stages.items():
                whole[0][m].stages[name].merge(tally)
            each.stages = {}


def _spread(
    scenario: Scenario, engine: str, executor: Executor, most: int, cluster: Cluster
) -> Iterator[tuple[int, dict[int, Observations]]]:
    """Yield observations by mode, in the scenario's order, as replications come in, whole or in parts."""
    numbers, modes = range(scenario.run.replications), range(len(scenario.modes))
    if isinstance(executor, Here):
        with closing(finished({n: (scenario, n, engine, cluster) for n in numbers}, replicate, executor)) as here:
            for number, over in here:
                yield number, dict(enumerate(over.result()))
        return
    packed, hands = pickle.dumps(scenario), min(most, hands_of(executor))
    parts = carries(executor) and engine == "batch" and len(modes) > 1 and len(numbers) > 1
    apart = numbers[len(numbers) - len(numbers) % hands :] if parts else ()  # or one process would work on the last
    tasks: dict[tuple[int, int], tuple[object, ...]]
    tasks = {(n, BEGUN): (packed, n, engine, BEGUN) for n in apart}  # first: others wait for it
    tasks |= {(n, WHOLE): (packed, n, engine, WHOLE) for n in numbers if n not in apart}
    with closing(finished(tasks, replicate_part, executor, most)) as answers:
        for (number, part), future in answers:
            answer = future.result()
            if isinstance(answer, Sent):
                tasks |= {(number, m): (packed, number, engine, m, answer) for m in modes}
            else:
                yield number, dict(enumerate(answer, max(part, 0)))


def replicate_packed(packed: bytes, number: int, engine: str) -> list[Observations]:
    """Return one replication of a pickled scenario; another of the same in this process finds the cluster built."""
    scenario, cluster = unpacked(packed)
    seen = replicate(scenario, number, engine, cluster)
    give_back()
    return seen


def replicate_part(
    packed: bytes, number: int, engine: str, part: int, sent: Sent | None = None
) -> list[Observations] | Sent:
    """Return a part of a replication: WHOLE, what its control plane sent (BEGUN), or with that the mode at a place."""
    if part == WHOLE:
        return replicate_packed(packed, number, engine)
    scenario, cluster = unpacked(packed)
    if part == BEGUN:
        replication = prepare(scenario, cluster, number)
        run_control_plane(replication)
        return replication.sent
    seen = replicate(scenario, number, engine, cluster, scenario.modes[part : part + 1], sent)
    give_back()
    return seen


@lru_cache(maxsize=1)
def unpacked(packed: bytes) -> tuple[Scenario, Cluster]:
    """Return a pickled scenario and its cluster, kept until another is asked for."""
    scenario: Scenario = pickle.loads(packed)  # noqa: S301 - from the process that sends the task
    return scenario, build_cluster(scenario)[0]


def replicate(
    scenario: Scenario,
    number: int,
    engine: str,
    cluster: Cluster | None = None,
    modes: Sequence[str] = (),
    sent: Sent | None = None,
) -> list[Observations]:
    """Return one replication under ``modes``, by default all in the scenario's order.

    ``sent`` is what its control plane sent, if that has run already.
    """
    cluster = cluster or build_cluster(scenario)[0]
    batches = -(-GROUPS // scenario.run.replications)  # stretches of time beside the replications, if they are few
    replication = prepare(scenario, cluster, number)
    if sent is not None:
        replication.take(sent)
    seen = []
    for mode in modes or scenario.modes:  # a mode's run is let go before the next one
        seen.append(observe(replication, run_mode(replication, mode, engine), batches))
        give_back()
    return seen
