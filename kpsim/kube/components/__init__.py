"""Kubernetes' own components as objects show them: their command lines, their configurations, their releases."""

from __future__ import annotations
