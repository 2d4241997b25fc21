"""Findings are put into words here: numbers, rankings, the change that helps, terms explained."""

from __future__ import annotations
