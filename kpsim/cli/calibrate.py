"""``kpsim calibrate``: a profile of this host by measuring it, or of a cluster from its logs and metrics."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

_FILES = (
    "kpsim.cli.calibrate_files:calibrate_files"  # what is asked for when the first argument is none of the commands
)


class _CommandOrFiles(click.Group):
    """A group whose first argument is one of its commands, or a file: then all arguments are those of ``_FILES``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        module, _, attribute = _FILES.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return "", command, args


@click.group(
    cls=_CommandOrFiles,
    subcommand_metavar="bench | LOG|METRICS… [OPTIONS]",
    context_settings={"ignore_unknown_options": True},  # those before a file are that command's
)
def calibrate() -> None:
    """Fit costs to a machine of yours.

    `bench` measures this host, as root, in network namespaces of its own, in less than a minute. Anything else is a file:
    kube-proxy's log (-v=2), or two scrapes of its /metrics.
    """


@calibrate.command()
@click.option(
    "--base", metavar="PROFILE", default="linux-6.18-zen3", show_default=True, help="Of what is not measured."
)
def bench(base: str) -> None:
    """Measure this host and write a profile of it."""
    raise click.UsageError(f"bench is not built yet; {base} stands for every machine")
