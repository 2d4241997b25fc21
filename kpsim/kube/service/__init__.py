"""The Service API: what the API server refuses, what it takes and ignores, and what each Service costs elsewhere."""

from __future__ import annotations
