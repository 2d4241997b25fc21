"""A page is a list of headings, paragraphs, tables and figures, written as Markdown or as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from kpsim.report.figures.canvas import Picture
from kpsim.report.wording.quantity import glued


@dataclass(frozen=True, slots=True)
class Heading:
    """A line above a part of the page; ``level`` 1 is the page's own."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts below a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Points:
    """Sentences one below the other."""

    each: Sequence[str]


Block = Heading | Table | Points | Picture | str


def as_markdown(blocks: Sequence[Block], figures: str = "figures") -> str:
    """Return the page as Markdown; figures are files in the folder ``figures``."""
    return "\n\n".join(_markdown(block, figures) for block in blocks) + "\n"


def _markdown(block: Block, figures: str) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Table():
            return table_markdown(block)
        case Points():
            return "\n".join(f"* {each}" for each in block.each)
        case Picture():
            return f"![{block.alt}]({figures}/{block.name}.svg)\n\n{block.note}"
        case str():
            return block


def table_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    rows = [table.head, ["---"] * len(table.head), *table.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def as_html(blocks: Sequence[Block]) -> str:
    """Return the page as HTML that needs no other file."""
    title = next((escape(block.text) for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(_html(block) for block in blocks)
    style = resources.files("kpsim.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    wide = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">\n{wide}\n<title>{title}</title>\n<style>{style}</style>'
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Table():
            head = "".join(f"<th>{escape(cell)}</th>" for cell in block.head)
            rows = [
                "".join(
                    f'<td data-label="{escape(name)}">{escape(cell)}</td>'
                    for name, cell in zip(block.head, row, strict=True)
                )
                for row in block.rows
            ]
            body = "\n".join(f"<tr>{row}</tr>" for row in rows)
            table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
            return f'<div class="scroll"><table class="cards">\n{table}\n</table></div>'
        case Points():
            return "<ul>\n" + "\n".join(f"<li>{escape(glued(each))}</li>" for each in block.each) + "\n</ul>"
        case Picture():
            source = f'<img alt="{escape(block.alt)}" src="{block.data_uri}">'
            return f"<figure>{source}<figcaption>{escape(block.note)}</figcaption></figure>"
        case str():
            return f"<p>{escape(block)}</p>"
