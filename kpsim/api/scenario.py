"""A scenario with its verbs: ``run``, ``compare``, ``sweep``, ``check``, ``explain…``; each gives a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpsim.api.results import Check, Result, Sweep
from kpsim.api.searched import Limit, Tune
from kpsim.api.values import dotted, pairs_of, range_text
from kpsim.errors import InputError
from kpsim.experiment import replications, sweeps
from kpsim.experiment.answers.limits import limits_of
from kpsim.experiment.answers.waits import notes_of, waits_of
from kpsim.scenario import model as models
from kpsim.scenario.kinds import Look, identify, identify_data
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved
from kpsim.scenario.sections.modes import usual_modes
from kpsim.simulation import build_cluster

if TYPE_CHECKING:
    from kpsim.explain.dns import LookupStory
    from kpsim.explain.ingress import RequestStory
    from kpsim.explain.service import Explanation
    from kpsim.explain.story import PacketStory

Given = str | Path | Mapping[str, object] | Sequence[Mapping[str, object]]
Progress = Callable[[int, int], None]  # so many done, of so many


def load(given: Given, *more: str | Path) -> Scenario:
    """Return the scenario that was given, or a default one around the Kubernetes objects and rules that were.

    Parameters
    ----------
    given
        the path of a scenario, dump, manifest or folder; or a dict with a scenario's YAML names (``spec`` alone is
        enough); or Kubernetes objects, as dicts.
    more
        further files that show the same cluster.

    Raises
    ------
    InputError
        with everything that is wrong, each problem with its place.

    >>> import kpsim
    >>> kpsim.load("scenarios/hello.yaml")
    <Scenario hello: 2 nodes, 3 Services, iptables against ipvs>
    >>> kpsim.load({"cluster": {"nodes": 3}, "services": [{"name": "web", "count": 10, "endpoints": 2}]})
    <Scenario scenario: 3 nodes, 10 Services, iptables>
    """
    if isinstance(given, str | Path):
        look = identify([given, *more])
    elif more:
        raise InputError("objects and files are not read together: give objects alone, or files alone")
    else:
        look = identify_data(given)
    return Scenario(look, (), read(look))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Scenario:
    """One question about one cluster, and the verbs that answer it.

    ``model`` is the scenario with every default filled in; ``overrides`` are the values that ``with_`` set.

    >>> import kpsim
    >>> hello = kpsim.load("scenarios/hello.yaml")
    >>> hello.name, hello.model.run.duration_s
    ('hello', 30.0)
    """

    look: Look
    overrides: tuple[tuple[str, str], ...]
    model: models.Scenario

    @property
    def name(self) -> str:
        """Return the scenario's name."""
        return self.model.name

    def with_(self, values: Mapping[str, object] | None = None, /, **settings: object) -> Scenario:
        """Return the same scenario with other values; keys are YAML's, below ``spec``, with ``__`` for each dot.

        A key whose parts are no Python names goes into ``values``: ``{"services.small-web.count": 5000}``.
        Durations are texts with a unit (``"30s"``), lists and mappings are Python's.  Raises :class:`InputError` for a
        key that is not there or a value that cannot be.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml")
        >>> hello.with_(services__web__count=5_000, compare__modes=["iptables"], run__duration="60s")
        <Scenario hello: 2 nodes, 5,002 Services, iptables>
        """
        overrides = (*self.overrides, *pairs_of({**(values or {}), **dotted(settings)}))
        return Scenario(self.look, overrides, read(self.look, overrides))

    def run(
        self,
        *,
        jobs: int = 1,
        progress: Progress | None = None,
        max_memory: float | None = None,
        max_time_s: float | None = None,
        executor: Executor | None = None,
    ) -> Result:
        """Simulate, and return everything found.

        Parameters
        ----------
        jobs
            processes; a script that asks for more than one needs ``if __name__ == "__main__":``.
        progress
            called with (done, of how many) runs.
        max_memory
            refuse to start what would take more [bytes]; 80 % of the machine's memory without it.
        max_time_s
            refuse to start what would take longer [s]; an hour without it.
        executor
            a ``concurrent.futures`` executor to use instead of local processes.

        Raises
        ------
        GuardError
            if it would take too much memory or time.

        >>> import kpsim
        >>> result = kpsim.load("scenarios/hello.yaml").with_(run__replications=2).run()
        >>> result.estimate("network_programming_true", "mean", "iptables").value < 3.0
        True
        """
        self._not_a_sweep("run()")
        found = replications.run_scenario(
            self.model, jobs=jobs, progress=progress, most_bytes=max_memory, most_s=max_time_s, executor=executor
        )
        return Result(found)

    def compare(
        self,
        *modes: str,
        jobs: int = 1,
        progress: Progress | None = None,
        max_memory: float | None = None,
        max_time_s: float | None = None,
        executor: Executor | None = None,
    ) -> Result:
        """Simulate under several proxy modes with the same arrivals and changes; see :meth:`run` for the parameters.

        Without ``modes``, those that a Linux cluster of its Kubernetes version has.  Raises :class:`InputError` for a
        mode that is not there.

        >>> import kpsim
        >>> both = kpsim.load("scenarios/hello.yaml").with_(run__replications=2).compare("nftables", "iptables")
        >>> [(each.mode, each.against) for each in both.found.comparisons][0]
        ('iptables', 'nftables')
        """
        compared = list(modes or usual_modes(self.model.kubernetes_version))
        chosen = self.with_({"compare.modes": compared})
        return chosen.run(jobs=jobs, progress=progress, max_memory=max_memory, max_time_s=max_time_s, executor=executor)

    def sweep(
        self,
        ranges: Mapping[str, object] | None = None,
        /,
        *,
        jobs: int = 1,
        progress: Progress | None = None,
        max_memory: float | None = None,
        max_time_s: float | None = None,
        executor: Executor | None = None,
        cache: str | Path | None = None,
        **axes: object,
    ) -> Sweep:
        """Simulate at every combination of values, and return a table with a column an axis.

        Parameters
        ----------
        ranges, axes
            keys as in :meth:`with_`; of each a list, or a range such as ``"100..100k:log:13"``.  Without any, the
            file's own ``sweep:``.
        cache
            a folder in which points are kept, so that those already computed are not computed again.

        Others as in :meth:`run`.  Raises :class:`InputError` if any point is wrong, before the first is run.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__engine="batch", run__replications=2)
        >>> sizes = hello.sweep(services__web__count=[1, 100])
        >>> sizes
        <Sweep of hello: 2 points, over services.web.count>
        >>> sizes.frame()["services.web.count"].unique().tolist()
        [1, 100]
        """
        sets = [(key, range_text(value)) for key, value in {**(ranges or {}), **dotted(axes)}.items()]
        table = sweeps.sweep(
            self.look, sets, self.overrides, jobs=jobs, progress=progress, most_bytes=max_memory, most_s=max_time_s,
            executor=executor,
            cache=Path(cache) if cache else None,
        )  # fmt: skip
        return Sweep(self.name, table)

    def limit(
        self,
        axis: str = "services",
        *objectives: str,
        within: tuple[float | None, float | None] = (None, None),
        jobs: int = 1,
        progress: Progress | None = None,
        max_memory: float | None = None,
        max_time_s: float | None = None,
        executor: Executor | None = None,
    ) -> Limit:
        """Return the largest value of an axis that meets the objectives, and what ends it.

        Parameters
        ----------
        axis
            ``services``, which scales all groups in proportion, or a key as in :meth:`with_`, with dots.
        objectives
            such as ``"network_programming_true.p99 < 10s"``; the scenario's thresholds without any.
        within
            the smallest and the largest value to look at.

        Others as in :meth:`run`.  Raises :class:`InputError` where there is no objective, or no such axis.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__replications=2, compare__modes=["iptables"])
        >>> found = hello.limit("cluster.nodes", "sync_duration.mean < 1s", within=(1, 8))
        >>> found
        <Limit of hello: iptables up to at least 8 nodes>
        """
        from kpsim.experiment.searches.limit import limit

        return Limit(
            limit(
                self.look, axis, self.overrides, objectives=objectives, within=within, jobs=jobs, progress=progress,
                most_bytes=max_memory, most_s=max_time_s, executor=executor,
            )
        )  # fmt: skip

    def tune(
        self,
        knob: str,
        *values: str,
        against: Sequence[str] = (),
        objectives: Sequence[str] = (),
        jobs: int = 1,
        progress: Progress | None = None,
        max_memory: float | None = None,
        max_time_s: float | None = None,
        executor: Executor | None = None,
    ) -> Tune:
        """Return a knob's values with what each gains and costs, and the one to take.

        Parameters
        ----------
        knob
            minSyncPeriod, syncPeriod, qps, preStop or slices.
        values
            to try instead of the knob's own, such as ``"500ms"``.
        against
            two measures to trade instead of the knob's own.
        objectives
            as in :meth:`limit`.

        Others as in :meth:`run`.  Raises :class:`InputError` for a knob that is not there, or that nothing turns.

        >>> import kpsim
        >>> hello = kpsim.load("scenarios/hello.yaml").with_(run__replications=2, compare__modes=["iptables"])
        >>> found = hello.tune("minSyncPeriod", "0s", "5s", against=["network_programming_true.p50", "cpu_proxy_cores"])
        >>> [(rung.written, rung.read_as) for rung in found.found.rungs]
        [('0s', '1s'), ('1s', ''), ('5s', '')]
        """
        from kpsim.experiment.searches.tune import tune

        return Tune(
            tune(
                self.look, knob, self.overrides, values=values, against=against, objectives=objectives, jobs=jobs,
                progress=progress, most_bytes=max_memory, most_s=max_time_s, executor=executor,
            )
        )  # fmt: skip

    def check(self) -> Check:
        """Return the use of every hard and soft limit, without simulating anything.

        >>> import kpsim
        >>> kpsim.load("scenarios/hello.yaml").check()
        <Check of hello: 0 limits exceeded, nearest is Pods behind Services on a node with 15 % used>
        """
        cluster, warnings = build_cluster(self.model)
        limits, waits = limits_of(self.model, cluster), waits_of(self.model, cluster)
        return Check(self.name, limits, waits, notes_of(self.model, cluster), (*self.model.warnings, *warnings))

    def explain_service(self, name: str, node: str = "") -> Explanation:
        """Return the rules of a Service on a node, what its packets meet there, and what they pay [s].

        ``name`` is ``namespace/name``, or one in the namespace default; without ``node``, one without its endpoints.
        Raises :class:`InputError` if there is no Service or no node of that name.

        >>> import kpsim
        >>> kpsim.load("scenarios/hello.yaml").explain_service("web-0").headline
        'Service default/web-0, type ClusterIP, under kube-proxy mode iptables'
        """
        from kpsim.explain.service import explain_service

        return explain_service(self.model, name if "/" in name else f"default/{name}", node)

    def explain_packet(self, to: str, *, source: str = "pod", protocol: str = "tcp", node: str = "") -> PacketStory:
        """Return the rules that a connection's first packet meets on a node, in order, and its verdict.

        ``to`` is ``namespace/name[:port]`` or ``ip:port``; ``source`` is pod, node, outside or an address; without
        ``node``, the first.  Raises :class:`InputError` for what is not there.

        >>> import kpsim
        >>> kpsim.load("scenarios/hello.yaml").explain_packet("default/db-0").verdict.partition(",")[0]
        'sent to 10.128.0.6:80'
        """
        from kpsim.explain.packet import explain_packet

        return explain_packet(self.model, source, to, protocol, node)

    def explain_dns(self, name: str, *, namespace: str = "default", ndots: int | None = None) -> LookupStory:
        """Return how a Pod of ``namespace`` looks ``name`` up: names tried, answers, queries, expected time [s].

        Raises :class:`InputError` for a name that no resolver would ask for.

        >>> import kpsim
        >>> kpsim.load("scenarios/hello.yaml").explain_dns("web-0").queries
        2
        """
        from kpsim.explain.dns import explain_lookup

        return explain_lookup(self.model, name, namespace, ndots)

    def explain_ingress(self, url: str, node: str = "") -> RequestStory:
        """Return the rule of an Ingress that a request for ``host/path`` meets, and its way on to a Pod.

        Raises :class:`InputError` for what is no host and path.

        >>> import kpsim
        >>> shop = kpsim.load("scenarios/ingress-rollout.yaml")
        >>> shop.explain_ingress("nobody.example/").verdict
        'no rule and no default backend: the controller answers 404 itself'
        """
        from kpsim.explain.ingress import explain_request

        return explain_request(self.model, url, node)

    def rules(self, node: str = "", *, changed: Sequence[str] | None = None) -> Iterator[str]:
        """Return the lines that the real tools take for a node's rules; or a partial sync's, after some changed.

        Without ``node`` the first; ``changed`` names Services, ``namespace/name``.  Raises :class:`InputError` for a
        node that is not there.

        >>> import kpsim
        >>> next(iter(kpsim.load("scenarios/hello.yaml").rules()))
        '*filter'
        """
        from kpsim.explain.packet import NodeRules

        return NodeRules.of(self.model, node).text(None if changed is None else frozenset(changed))

    def to_yaml(self) -> str:
        """Return the scenario with every default written out, as ``scenario.resolved.yaml`` in a run's directory.

        >>> import kpsim
        >>> kpsim.load("scenarios/hello.yaml").to_yaml().splitlines()[0]
        'apiVersion: kpsim/v1alpha1'
        """
        return write_resolved(self.model)

    def _not_a_sweep(self, verb: str) -> None:
        if self.look.is_sweep and not self.overrides:
            raise InputError(f"{self.name} is a Sweep, and {verb} wants one point: take sweep(), or set its axes first")

    def __repr__(self) -> str:
        services = sum(group.count for group in self.model.groups) + len(self.model.objects.services)
        modes = " against ".join(self.model.modes)
        return f"<Scenario {self.name}: {self.model.cluster.nodes:,} nodes, {services:,} Services, {modes}>"
