"""What every test shares: deterministic examples, no display, no colour."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples on every machine and in every run: a failure is a finding, never luck.
settings.register_profile("kpsim", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("kpsim")

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("NO_COLOR", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
