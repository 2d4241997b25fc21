"""Tables of columns side by side, as two engines made them."""

from __future__ import annotations

from typing import Any

import numpy as np


def differing(one: Any, other: Any) -> list[str]:
    """Return the names of the columns that are not the same, to the nanosecond."""
    return [n for n in one.__dataclass_fields__ if not np.array_equal(getattr(one, n), getattr(other, n))]
