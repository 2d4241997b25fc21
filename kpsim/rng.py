"""Named random streams: the same name gives the same numbers, whatever other draws are made.

A stream is keyed by the scenario's seed and a name such as ``("arrivals", replication, node_block)``.  The key goes
through BLAKE2b, never through Python's salted ``hash``, so a draw does not depend on the process, on the engine, on
how work is cut into jobs, or on which other streams exist.  Modes compared share every stream that is not keyed by a
mode, and so see the same arrivals and the same changes.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Return a generator of its own for ``name`` under ``seed``."""
    digest = hashlib.blake2b(repr(name).encode(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
