"""A reader gets figures, one HTML page, Markdown, tables and a terminal summary from a result.

Everything here looks only at a :class:`~kpsim.experiment.result.Result` and decides nothing about the model.  What
may be claimed is decided in ``wording`` and ``verdict``, the rows of tables in ``grid``, how modes look in ``style``.
``directory`` writes everything.  matplotlib is imported by ``figures`` alone, so a terminal summary stays quick.
"""

from __future__ import annotations
