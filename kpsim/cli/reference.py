"""``kpsim reference``: commands, keys, measures, costs and limits as Markdown, all made from the code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

_Row = tuple[str, ...]


@click.command()
@click.argument("part", type=click.Choice(["commands", "scenario", "measures", "costs", "limits"]), required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="A folder for a page of each part.")
@click.pass_context
def reference(ctx: click.Context, part: str | None, out: Path | None) -> None:
    """Print a part of the reference as Markdown, or write every part into a folder."""
    pages = {
        "commands": lambda: commands_page(ctx.find_root()),
        "scenario": scenario_page,
        "measures": measures_page,
        "costs": costs_page,
        "limits": limits_page,
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for name in [part] if part else pages:
        if out is None:
            click.echo(pages[name]())
        else:
            (out / f"{name}.md").write_text(pages[name](), encoding="utf-8")


def commands_page(root: click.Context) -> str:
    """Return every command's help text, subcommands among them."""
    lines = ["# Commands", ""]
    for name, said in _helps(root):
        lines += [f"## {name}", "", "```text", said, "```", ""]
    return "\n".join(lines)


def _helps(context: click.Context) -> Iterator[tuple[str, str]]:
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else ():
        command = group.get_command(context, name) if isinstance(group, click.Group) else None
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context, max_content_width=100)
        yield inner.command_path, command.get_help(inner)
        yield from _helps(inner)


def scenario_page() -> str:
    """Return every key of a scenario with its meaning, unit and default."""
    from kpsim.scenario.jsonschema import json_schema

    schema = json_schema()
    rows = sorted(dict.fromkeys(_keys(schema, schema, "", ())))
    lead = "In a list, `[]` stands for each item. `kpsim schema` gives the same to editors."
    return _page("Keys of a scenario", lead, ("key", "meaning"), [(f"`{key}`", text) for key, text in rows])


def _keys(schema: Any, whole: Any, path: str, seen: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (path, description) of every key below a schema; definitions that hold themselves are entered once."""
    at = schema.get("$ref", "")
    if at and at not in seen:
        yield from _keys(whole["$defs"][at.rpartition("/")[2]], whole, path, (*seen, at))
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _keys(each, whole, path, seen)
    for inner, ending in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(inner), dict):
            yield from _keys(schema[inner], whole, f"{path}{ending}", seen)
    for key, held in schema.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        yield below, held.get("description", "")
        yield from _keys(held, whole, below, seen)


def measures_page() -> str:
    """Return every measure with its unit."""
    from kpsim.measure.summary import MEASURES

    rows = [(f"`{m.name}`", m.unit, m.title, m.about) for m in MEASURES.values()]
    lead = "A threshold names one of them, and so do `limit` and `tune`: `network_programming_true.p99 < 10s`."
    return _page("Measures", lead, ("measure", "unit", "title", "of what"), rows)


def costs_page() -> str:
    """Return every coefficient of the default profile with its 95 % interval and source."""
    from kpsim.profiles.costs import DEFAULT, load_profile
    from kpsim.profiles.defaults import load_defaults
    from kpsim.profiles.format import SCALE

    profile, defaults = load_profile(DEFAULT), load_defaults()
    numbers = [(f"{family}.{each.name}", each) for family, each in profile.coefficients("typical")]
    rows = []
    for name, each in (*numbers, *defaults.coefficients.items()):
        value, low, high = (f"{number / SCALE[each.unit]:.4g}" for number in (each.value, each.low, each.high))
        between = f"{low} to {high}" if low != high else ""
        rows.append((f"`{name}`", value, between, each.unit, each.source, each.note))
    where = {**profile.sources, **defaults.text.sources}
    sources = [f"- `{key}`: {_cell(says)}" for key, says in where.items()]
    page = _page(
        "Costs and constants", profile.about, ("number", "value", "95 % interval", "unit", "source", "note"), rows
    )
    return "\n".join([page, "## Sources", "", *sources, ""])


def limits_page() -> str:
    """Return the limits that a small scenario with names and every Linux mode is held against."""
    from kpsim.experiment.answers.limits import limits_of
    from kpsim.scenario.kinds import identify_data
    from kpsim.scenario.reader import read
    from kpsim.simulation import build_cluster

    spec = {"services": [{"name": "web", "count": 1}], "dns": {"clientsUseNames": True},
            "compare": {"modes": ["iptables", "ipvs", "nftables", "ebpf"]}}  # fmt: skip
    scenario = read(identify_data({"spec": spec}))
    found = limits_of(scenario, build_cluster(scenario)[0])
    rows = [(m.name, m.kind, f"{m.limit:,.0f}", m.unit, m.source) for m in sorted(found, key=lambda m: m.name)]
    lead = "The values are those of ten nodes or of the ranges given by default; `kpsim check FILE` has yours."
    return _page("Limits", lead, ("limit", "kind", "value", "unit", "source"), rows)


def _page(title: str, lead: str, heads: Sequence[str], rows: Sequence[_Row]) -> str:
    lines = [f"# {title}", "", lead, "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
