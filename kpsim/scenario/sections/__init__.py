"""What the sections of a scenario mean, one module a section: cluster, kube-proxy, modes, thresholds, sweep ranges."""

from __future__ import annotations
