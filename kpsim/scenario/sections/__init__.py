"""A scenario's sections are given their meaning here, one module a section."""

from __future__ import annotations
