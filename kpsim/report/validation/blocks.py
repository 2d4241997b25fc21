"""A page is a list of headings, paragraphs, tables and figures, written as Markdown or as one HTML file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from kpsim.report.figures.canvas import Picture

STYLE = (
    'body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a; max-width: 60rem; '
    "margin: 2rem auto; padding: 0 1.2rem; } h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; "
    "border-bottom: 1px solid #d5d5d5; } table { border-collapse: collapse; font-size: .88rem; width: 100%; } "
    "th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #e6e6e6; "
    "vertical-align: top; } th { color: #5a5a5a; } figure { margin: 1.6rem 0; } figure img { width: 100%; "
    "max-width: 46rem; } figcaption { font-size: .88rem; color: #5a5a5a; }"
)


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
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Table():
            head = "".join(f"<th>{escape(cell)}</th>" for cell in block.head)
            rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in block.rows]
            body = "\n".join(f"<tr>{row}</tr>" for row in rows)
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        case Points():
            return "<ul>\n" + "\n".join(f"<li>{escape(each)}</li>" for each in block.each) + "\n</ul>"
        case Picture():
            image = b64encode(block.svg.encode()).decode()
            source = f'<img alt="{escape(block.alt)}" src="data:image/svg+xml;base64,{image}">'
            return f"<figure>{source}<figcaption>{escape(block.note)}</figcaption></figure>"
        case str():
            return f"<p>{escape(block)}</p>"
