"""KEP-752's own arithmetic: bytes and events that one change of a Service's endpoints sends to every node.

It takes 100 bytes an endpoint and nothing else; :mod:`kpsim.controlplane.api.sizes` has real encodings.
"""

from __future__ import annotations

import re

from kpsim.calibration.records import Record
from kpsim.profiles.defaults import load_defaults

ENDPOINTS, SLICE = 20000, 100  # of the KEP's example
UNITS = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "events": 1.0}
QUANTITIES = frozenset({"bytes_sent", "object_size", "watch_events"})


def sent(record: Record) -> float | None:
    """Return bytes or events in the record's unit, or ``None`` where the record is of something else."""
    api, operation = record.setup.get("api", ""), record.setup.get("operation", "")
    if (
        record.quantity not in QUANTITIES
        or not record.id.startswith(("kep752", "eps-blog"))
        or record.unit not in UNITS
    ):
        return None
    endpoint_bytes = load_defaults().value("object_sizes.endpoint_kep_752")
    found = re.search(r"\((\d+)\)", api)
    nodes, endpoints = record.number("nodes"), record.number("endpoints_per_service", ENDPOINTS)
    held = float(found[1]) if found else SLICE if record.id.endswith("slice") else endpoints
    object_bytes = record.number("object_mb") * UNITS["MB"] or held * endpoint_bytes
    if record.quantity == "object_size":
        return object_bytes / UNITS[record.unit]
    if record.quantity == "watch_events":
        return nodes * endpoints / held
    changes = endpoints if "all" in operation else endpoints / held if "create" in operation else 1.0
    return nodes * changes * object_bytes / UNITS[record.unit]
