"""Where a scenario comes from when nobody has written one: those that kpsim brings, and templates to fill in."""

from __future__ import annotations
