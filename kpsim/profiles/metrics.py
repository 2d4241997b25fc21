"""kube-proxy's metrics by Kubernetes version and mode: the file ``kube-proxy-metrics.yaml``, read.

A metric names the quantity it shows; what that is on a simulated node is not known here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kpsim.profiles.shipped import shipped
from kpsim.units import Version


def _release(text: Any) -> Any:
    """``"1.34"`` as (1, 34); a number is refused, because YAML would take 1.30 for 1.3."""
    return tuple(int(part) for part in text.split(".")) if isinstance(text, str) else text


Release = Annotated[Version, BeforeValidator(_release)]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Text):
    """Releases from ``since`` to before ``until``; ``None``: from the first, for good."""

    since: Release | None = None
    until: Release | None = None

    def has(self, version: Version) -> bool:
        """Return True if ``version`` is one of them."""
        return (self.since is None or version >= self.since) and (self.until is None or version < self.until)


class _Steps(_Text):
    """Bounds in a row: each ``step`` above the last, or ``factor`` times it."""

    start: float
    count: int
    factor: float | None = None
    step: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> _Steps:
        if (self.factor is None) == (self.step is None):
            raise ValueError("needs either `factor` or `step`")
        return self

    @property
    def bounds(self) -> list[float]:
        """Return the upper bounds of the buckets."""
        if self.factor is not None:
            return [self.start * self.factor**i for i in range(self.count)]
        assert self.step is not None
        return [self.start + self.step * i for i in range(self.count)]


class Metric(Span):
    """One metric, as it is in the releases from ``since`` to before ``until``."""

    name: str  # without the prefix
    type: Literal["histogram", "gauge", "counter"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[_Steps | tuple[float, ...], ...] = ()
    modes: dict[str, Span] = Field(min_length=1)  # the modes that count in it
    families: Literal["sum", "max", "last"] = "sum"  # what two IP families make of one series without a label for them
    quantity: str = ""  # what it shows of a simulated node; nothing where it is not simulated
    note: str = ""
    source: str

    @model_validator(mode="after")
    def _whole(self) -> Metric:
        if (self.type == "histogram") != bool(self.buckets):
            raise ValueError("buckets belong to histograms, and every histogram has some")
        if list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"buckets must rise: {self.bounds}")
        if not (self.quantity or self.note):
            raise ValueError("a metric that is not simulated needs a note that says why")
        return self

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets, without the infinite one."""
        return tuple(b for part in self.buckets for b in (part.bounds if isinstance(part, _Steps) else part))

    def counts(self, mode: str, version: Version) -> bool:
        """Return True if ``mode`` counts in the metric in ``version``."""
        return self.has(version) and mode in self.modes and self.modes[mode].has(version)


class Catalogue(_Text):
    """All metrics of kube-proxy."""

    apiVersion: Literal["kpsim/v1alpha1"]  # noqa: N815 - Kubernetes' spelling
    kind: Literal["MetricCatalogue"]
    prefix: str
    stability: str
    by_mode_since: Release
    modes: tuple[str, ...]
    both_families: tuple[str, ...]  # modes in which a single-stack node has an idle proxier of IPv6 too
    labels_since: dict[str, Release]
    metrics: tuple[Metric, ...]

    def registered(self, mode: str, version: Version) -> tuple[Metric, ...]:
        """Return the metrics that kube-proxy in ``mode`` registers in ``version``, by name."""
        every = version < self.by_mode_since
        found = [m for m in self.metrics if m.has(version) and (every or m.counts(mode, version))]
        return tuple(sorted(found, key=lambda metric: metric.name))

    def labels(self, metric: Metric, version: Version) -> tuple[str, ...]:
        """Return the labels that ``metric`` has in ``version``."""
        return tuple(label for label in metric.labels if version >= self.labels_since.get(label, version))


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """Return the catalogue that ships with kpsim."""
    return Catalogue.model_validate(shipped("kube-proxy-metrics.yaml"))
