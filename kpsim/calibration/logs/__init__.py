"""A kube-proxy's log becomes syncs: lines of every generation, whatever a runtime or journald put before them.

:mod:`texts` turns a file into lines, :mod:`entries` a line into a message with its values, :mod:`syncs` messages into
syncs.  Nothing here knows a proxy mode or a cost.
"""

from kpsim.calibration.logs.syncs import read_log
from kpsim.calibration.logs.texts import read_text

__all__ = ["read_log", "read_text"]
