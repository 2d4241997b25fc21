"""Kubernetes objects as kpsim reads them, from the files of a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kpsim.errors import InputError
from kpsim.kube.objects import KubeObjects
from kpsim.kube.reader import Reading
from kpsim.scenario.kinds import identify
from kpsim.scenario.sections.imports import take


def read_objects(paths: Sequence[Path]) -> KubeObjects:
    """The objects of several files and directories, each Service checked by itself.

    Raises
    ------
    InputError
        with everything the API server would refuse.
    """
    reading = Reading()
    take(reading, identify(paths))
    reading.problems += reading.check_alone((1, 36))
    if reading.problems:
        raise InputError(reading.problems)
    return reading.objects()
