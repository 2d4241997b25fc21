"""The API server is slow or late by its seats, its objects' sizes, and clients that come back after a restart.

Arithmetic and small heaps, without SimPy: whoever holds the clock asks here how long something takes.
"""

from __future__ import annotations
