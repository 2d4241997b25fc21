"""A shell completes names: modes, keys of scenarios, scenarios that kpsim brings, Services of the files given.

Nothing is simulated, and what cannot be read gives no names: a prompt is no place for a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from kpsim.errors import KpsimError

FILES = "kpsim.files"  # in a context's meta: the files given so far
LARGE_BYTES = 5_000_000  # from which reading takes longer than a user waits for a key
MOST_NAMES = 500
Items = list[CompletionItem]


def modes(_context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Return the proxy modes; after a comma, where several may stand, the next one."""
    from kpsim.proxy.registry import MODES

    before, comma, last = begun.rpartition(",")
    named = before.split(",")
    return [
        CompletionItem(f"{before}{comma}{name}", help=mode.summary)
        for name, mode in MODES.items()
        if name.startswith(last) and name not in named
    ]


def keys(_context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Return the keys of a scenario as ``--set`` takes them."""
    from kpsim.explain.field import reference

    texts = {path.removeprefix("spec.").replace("[]", ".0"): text for path, text in reference().items()}
    return [CompletionItem(path, help=text.text) for path, text in texts.items() if path.startswith(begun)]


def fields(_context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Return the keys of a scenario as a file has them."""
    from kpsim.explain.field import reference

    return [CompletionItem(path, help=text.text) for path, text in reference().items() if path.startswith(begun)]


def scenarios(_context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Return the scenarios that kpsim brings, and leave files to the shell."""
    from kpsim.scenario.starts.shipped import shipped

    return [*_named(shipped(), begun), CompletionItem(begun, type="file")]


def presets(_context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Return what a scenario may begin with."""
    from kpsim.scenario.starts.template import starts

    return [CompletionItem(name, help=about) for name, about in starts().items() if name.startswith(begun)]


def services(context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Return the Services of the files that were given with ``-f``."""
    return _named(_services(context.meta.get(FILES, ())), begun)


def _named(names: Iterable[str], begun: str) -> Items:
    return [CompletionItem(name) for name in names if name.startswith(begun)][:MOST_NAMES]


def _services(files: Sequence[Path]) -> list[str]:
    from kpsim.scenario.kinds import identify
    from kpsim.scenario.reader import read
    from kpsim.simulation import build_cluster

    if not files or sum(file.stat().st_size for file in files if file.is_file()) > LARGE_BYTES:
        return []
    try:
        cluster, _ = build_cluster(read(identify(files)))
    except KpsimError:
        return []
    names = [cluster.names[row] for row in range(min(cluster.initial, MOST_NAMES))]
    return list(dict.fromkeys([*(n.removeprefix("default/") for n in names), *names]))
