"""A kept run is written in the formats of other tools: Parquet, OpenMetrics, and the trace of a replication."""

from __future__ import annotations
