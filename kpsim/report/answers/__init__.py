"""A scenario has a question, and each kind of question has its answer here: sentences that a reader can act on.

``question`` derives it from the scenario, once for page, Markdown, terminal and JSON; the other modules answer one kind
each.  They look only at a result, and ``verdict`` puts their sentences in order.
"""

from __future__ import annotations
