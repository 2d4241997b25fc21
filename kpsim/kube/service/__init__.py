"""The Service API: the API server's refusals, the fields it ignores, and each Service's cost elsewhere."""

from __future__ import annotations
