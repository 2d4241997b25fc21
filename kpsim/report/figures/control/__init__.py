"""Figures of the control plane: what it writes and sends over time, and the stages a change goes through."""

from __future__ import annotations
