"""Tables on a terminal, as wide as it is; plain text without box drawing when piped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click

from kpsim.cli.options import styled

__all__ = ["print_table"]


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = ""
) -> None:
    """Aligned columns; the last one is cut to the terminal's width, columns in ``right`` are flush right."""
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 10_000
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    for i, row in enumerate([head, *rows]):
        cells = [
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        line = indent + "  ".join(cells).rstrip()
        line = line if len(line) <= width else line[: width - 1] + "…"
        click.echo(styled("title", line) if i == 0 else line)
