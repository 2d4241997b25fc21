"""Figures of traffic: what a core carries of it, and how evenly it falls on endpoints."""

from __future__ import annotations
