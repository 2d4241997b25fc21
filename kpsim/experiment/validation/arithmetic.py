"""Published counts: the arithmetic of authors' bytes and events, and kube-proxy's rules and lines.

KEP-752 takes 100 bytes an endpoint and a kilobyte for an object that holds one; kubernetes.io's blog of 2020 takes 300
bytes.  Real encodings are in :mod:`kpsim.controlplane.api.sizes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import floor, log10
from typing import Any

import numpy as np

from kpsim.calibration.records import Record
from kpsim.cluster.columns import ServiceColumns
from kpsim.experiment.validation.sizes import mode_of
from kpsim.modes.iptables.mode import ENSURED_JUMPS_BEFORE_1_27
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.counts import EndpointCounts

ENDPOINTS, SLICE = 20000, 100  # of the KEP's example
UNITS = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "events": 1.0}
QUANTITIES = frozenset({"bytes_sent", "object_size", "watch_events"})
FILTER_RULES = 3  # of KUBE-FORWARD, before 1.27
AT_LEAST_DIGITS = 2


def counted(record: Record, study: Mapping[str, Any] | None) -> float | None:
    """Return a count in the record's unit, or ``None`` where the record is no count or nobody's arithmetic is known."""
    if study is not None and study.get("cost") == "lines":
        return _lines(record)
    if record.quantity == "generated_rules":
        return _generated(record)
    if record.quantity == "iptables_execs_per_sync":
        return 2.0 * ENSURED_JUMPS_BEFORE_1_27
    known = record.quantity in QUANTITIES and record.unit in UNITS
    return _sent(record, study) if known and study is not None and study.get("cost") == "bytes" else None


def in_prose(study: Mapping[str, Any] | None) -> bool:
    """Return True if a study tells its counts in prose, rounded, as "more than 22 TB" and "540K rules"."""
    return study is not None and study.get("cost") in ("bytes", "lines")


def rounded_as(value: float, told: float) -> float:
    """Return ``value`` with as many digits as ``told`` has, two at least.

    >>> rounded_as(540_012.0, 540_000.0), rounded_as(22.5, 22.0), rounded_as(10.4, 10.0)
    (540000.0, 22.0, 10.0)
    """
    digits = len(f"{told:.15g}".partition("e")[0].replace(".", "").strip("0"))
    return float(f"{value:.{max(digits, AT_LEAST_DIGITS)}g}")


def last_digit(value: float) -> float:
    """Return what the last digit of a number in prose stands for.

    >>> last_digit(540_012.0), last_digit(22.5)
    (10000.0, 1.0)
    """
    return float(10.0 ** (floor(log10(value)) + 1 - AT_LEAST_DIGITS))


def _sent(record: Record, study: Mapping[str, Any]) -> float:
    """Return bytes or events of one change of a Service's endpoints, sent to every node."""
    api, operation = record.setup.get("api", ""), record.setup.get("operation", "")
    sizes = load_defaults()
    endpoint_bytes, least_bytes = (sizes.value(study[key]) if key in study else 0.0 for key in ("endpoint", "least"))
    found = re.search(r"\((\d+)\)", api)
    nodes, endpoints = record.number("nodes"), record.number("endpoints_per_service", ENDPOINTS)
    held = float(found[1]) if found else SLICE if record.id.endswith("slice") else endpoints
    object_bytes = record.number("object_mb") * UNITS["MB"] or max(held * endpoint_bytes, least_bytes)
    if record.quantity == "object_size":
        return object_bytes / UNITS[record.unit]
    if record.quantity == "watch_events":
        return nodes * endpoints / held
    changes = endpoints if "all" in operation else endpoints / held if "create" in operation else 1.0
    return nodes * changes * object_bytes / UNITS[record.unit]


def _counts(record: Record) -> tuple[int, int, int, int]:
    """Return Services, endpoints of each, and the dispatch and own rules of one."""
    kind = record.setup.get("service_type", "ClusterIP")
    n, each = int(record.number("services")), int(record.number("endpoints_per_service"))
    balanced, no, one = kind.startswith("LoadBalancer"), np.zeros(1, bool), np.ones(1, np.int64)
    columns = ServiceColumns(
        proxied=~no, headless=no, ports=one, external_ips=one * balanced, load_balancer_ips=one * balanced,
        source_ranges=one * balanced, node_ports=one * kind.startswith("NodePort"), affinity=no,
        cluster_ip=np.ones(1, np.uint32), internal_local=no, external_local=no, udp=no, dual_stack=no, continued=no,
    )  # fmt: skip
    found = mode_of("iptables-legacy").rule_counts(columns, EndpointCounts.elsewhere(one * each))
    return n, each, int(found.dispatch[0]), int(found.own[0])


def _generated(record: Record) -> float:
    """Return the rules of a table as the mode counts them, by kind of Service."""
    n, each, dispatch, own = _counts(record)
    if record.setup.get("variant") == "filter":  # a reject for each way to a Service without endpoints; source ranges
        balanced = record.setup.get("service_type", "").startswith("LoadBalancer")
        rejects = (1 + balanced * 3) * (each == 0) + balanced * (each > 0)
        return float(FILTER_RULES + n * rejects)
    return float(mode_of("iptables-legacy").rules_present(n * dispatch, n * own))


def _lines(record: Record) -> float:
    """Return lines of iptables-save: the nat table's rules, and a declaration of each chain of a Service and endpoint.

    Without a detector of local traffic (Pods have addresses of the cloud's network) a Service has a rule less.
    """
    n, each, dispatch, own = _counts(record)
    rules = float(mode_of("iptables-legacy").rules_present(n * dispatch, n * own))
    return rules - n + n * (1 + each)
