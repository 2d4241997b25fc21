"""Run directories are read back: what a run found, the same run again, and two runs side by side."""

from __future__ import annotations
