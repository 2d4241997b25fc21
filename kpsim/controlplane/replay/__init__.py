"""A recorded run again: what was asked of a real API server goes in, and what its controllers made of it comes out.

An action counts from its answer on, which is when the controllers' informers have it.  Left out: what else the
controllers were busy with, Services that nobody touched, and CPU that the recording machine was short of.
"""

from __future__ import annotations
