"""How findings are put into words: numbers, rankings, the change that helps, terms explained."""

from __future__ import annotations
