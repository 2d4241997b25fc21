"""Kubernetes' own objects: reading manifests and dumps, defaults, validation, allocators, endpoints of Services."""

from __future__ import annotations
