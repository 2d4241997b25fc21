"""Tables and sentences on a terminal, as wide as it is; one line each when piped."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

from kpsim.cli.options import styled

_ROOM = 24  # columns in which the last cell of a row is wrapped beside the others


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 10_000


def wrapped(text: str, indent: str = "", hanging: int = 0) -> str:
    """Return a sentence on as many lines as the terminal's width takes; on one if output is no terminal."""
    later = indent + " " * hanging
    return textwrap.fill(
        text, _width(), initial_indent=indent, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = ""
) -> None:
    """Aligned columns, those in ``right`` flush right; on a terminal the end of a row that is too long is wrapped."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    for i, row in enumerate([head, *rows]):
        cells = [
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        for line in _fitted(cells, indent):
            click.echo(styled("title", line) if i == 0 else line)


def _fitted(cells: Sequence[str], indent: str) -> list[str]:
    """Return one row as lines: its last cell wrapped beside the others if it fits there, else below."""
    width, line = _width(), indent + "  ".join(cells).rstrip()
    if len(line) <= width:
        return [line]
    start = indent + "  ".join(cells[:-1]) + "  "
    if len(start) + _ROOM <= width:
        ends = textwrap.wrap(cells[-1].strip(), width - len(start), break_on_hyphens=False)
        return [(" " * len(start) if n else start) + end for n, end in enumerate(ends)]
    kept = next(k for k in range(len(cells) - 1, 0, -1) if k == 1 or len(indent + "  ".join(cells[:k])) <= width)
    below = indent + " " * 4
    rest = "  ".join(cell.strip() for cell in cells[kept:] if cell.strip())
    ends = textwrap.wrap(rest, max(width - len(below), _ROOM), break_on_hyphens=False)
    return [(indent + "  ".join(cells[:kept])).rstrip(), *(below + end for end in ends)]
