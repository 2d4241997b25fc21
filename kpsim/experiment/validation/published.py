"""Published records that follow from structure alone: rules, processes, bytes; the rest by a study's own fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpsim.calibration.records import Record
from kpsim.experiment.validation.setups import Unspoken
from kpsim.profiles.costs import CostProfile

if TYPE_CHECKING:
    from kpsim.experiment.validation.prediction import Prediction


def published(record: Record, profile: CostProfile) -> Prediction:
    """Return what the model says of a published record."""
    raise Unspoken("not yet held against")


def shipped_studies() -> list[Record]:
    """Return the published records that ship."""
    return []
