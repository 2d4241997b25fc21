"""What makes the API server slow or late: seats, sizes of objects, and clients that come back after a restart.

Arithmetic and small heaps, without SimPy: whoever holds the clock asks here how long something takes.
"""

from __future__ import annotations
