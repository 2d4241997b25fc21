"""Prices have intervals, and a measure inherits them: as an interval of its own, and coefficient by coefficient."""

from __future__ import annotations
