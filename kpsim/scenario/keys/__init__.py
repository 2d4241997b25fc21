"""Keys that follow from declared fields: their names, a reader with places, a writer and the JSON Schema.

Nothing in here knows any section of a scenario; :mod:`kpsim.declared` says how a field becomes a key.
"""

from __future__ import annotations
