"""Two runs, or one cluster under two Kubernetes releases, told side by side."""

from __future__ import annotations
