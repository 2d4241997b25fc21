"""Signs of how a cluster is set up, in rules, logs, command lines and Nodes.

Each module reads one kind of sign out of text or plain data, and says by what; none opens a file or knows a scenario.
"""

from __future__ import annotations
