"""Scenarios for those who have written none yet: the ones that kpsim brings, and templates to fill in."""

from __future__ import annotations
