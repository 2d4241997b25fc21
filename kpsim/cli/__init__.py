"""The command line: one short file a command, imported when that command is asked for.

``kpsim --help`` must answer at once, so this table holds each command's one line and nothing heavy is imported here.
Errors a user can mend become a message and an exit code; a bug keeps its traceback.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from kpsim import __version__
from kpsim.cli.streams import inert_streams
from kpsim.collector import look_seldom
from kpsim.errors import InputError, KpsimError, nearest
from kpsim.interrupts import SAID, leaving_at_once

with leaving_at_once():  # it takes a moment
    import click

__all__ = ["main"]

NO_MEMORY, INTERRUPTED = 4, 130  # exit codes
_BY_DISKS = (
    "ENOSPC",
    "EDQUOT",
    "EROFS",
    "EIO",
    "EFBIG",
    "EACCES",
    "EPERM",
    "ENAMETOOLONG",
    "ELOOP",
    "ENOTDIR",
    "EISDIR",
)
REFUSED_BY_DISKS = {getattr(errno, name) for name in _BY_DISKS if hasattr(errno, name)}

_COMMANDS = {
    "init": ("kpsim.cli.init:init", "Write a commented scenario to begin with."),
    "run": ("kpsim.cli.run:run", "Simulate a scenario, or a default one around real Kubernetes objects."),
    "check": ("kpsim.cli.check:check", "Say whether a file is right and how far each limit is, without simulating."),
    "compare": ("kpsim.cli.compare:compare", "Simulate under several proxy modes, with the same arrivals and changes."),
    "sweep": ("kpsim.cli.sweep:sweep", "Simulate a grid of values and tabulate the results."),
    "limit": ("kpsim.cli.limit:limit", "Find the largest value that still meets the objectives, and what ends it."),
    "tune": ("kpsim.cli.tune:tune", "Find the value of a knob that trades latency for CPU best."),
    "report": ("kpsim.cli.report:report", "Give what a run found as a page, tables, metrics or a trace."),
    "replay": ("kpsim.cli.report:replay", "Run a kept run again, and say whether it gives the same bytes."),
    "explain": ("kpsim.cli.explain:explain", "Show the rules of a Service and what a packet to it pays."),
    "rules": ("kpsim.cli.rules:rules", "Print one node's rules as the real tools take them."),
    "metrics": ("kpsim.cli.metrics:metrics", "Print what kube-proxy's own metrics would show on one node."),
    "import": ("kpsim.cli.imports:imports", "Write a scenario from kubectl's output, manifests or a node's rules."),
    "validate": ("kpsim.cli.validate:validate", "Hold the model against measurements, record by record."),
    "calibrate": ("kpsim.cli.calibrate:calibrate", "Fit costs to this host, or to a cluster's logs and metrics."),
    "modes": ("kpsim.cli.modes:modes", "List the proxy modes by Kubernetes version."),
    "sources": ("kpsim.cli.sources:sources", "List every number with its interval and its source."),
    "schema": ("kpsim.cli.schema:schema", "Print the JSON Schema of scenarios."),
    "reference": ("kpsim.cli.reference:reference", "Print commands, keys, measures, costs and limits as Markdown."),
    "completion": ("kpsim.cli.completion:completion", "Print what makes bash, zsh or fish complete kpsim's words."),
    "version": ("kpsim.cli.version:version", "Print the version."),
}

EXIT_CODES = """\b
Exit codes:
  0 passed · 1 a bug · 2 usage · 3 bad input · 4 stopped by a guard
  98 an objective is undecided, with --strict · 99 a threshold failed · 130 interrupted"""


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = nearest(args[0], _COMMANDS)
            raise click.UsageError(f"{error.message}{f' Did you mean {near}?' if near else ''}", ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])


@click.group("kpsim", cls=_Lazy, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kpsim %(version)s")
def _kpsim() -> None:
    """Scale and performance model of Kubernetes Service networking.

    How far is this cluster from the cliff, and which knob moves it? Start with

        kpsim run 10k-services
    """


_MEANT = {  # options that people try, and what sets the same
    "--profile": "--set profile.name=NAME",
    "--version": "--set kubernetes.version=1.36",
    "--nodes": "--set cluster.nodes=100",
    "--services": "--set services.NAME.count=1000",
    "--mode": "--set kubeProxy.mode=nftables",
    "--modes": "--set compare.modes=iptables,nftables",
    "--duration": "--set run.duration=60s",
    "--threshold": "--set 'thresholds.first_packet_latency=[\"p99 < 1ms\"]'",
    "--objective": "--set 'thresholds.first_packet_latency=[\"p99 < 1ms\"]'",
    "--json": "-o json",
}


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # arrays here are too short for threads to pay
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    look_seldom()
    with inert_streams() as out:
        code = _answered()
    sys.exit(code or (InputError.exit_code if out.lost else 0))


def _is_nowhere() -> bool:
    """Return True if the working directory was removed."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _answered() -> int:
    """Run the command line, say what a user can mend, and return the exit code."""
    code: Any = 0
    try:
        with leaving_at_once():
            code = _kpsim.main(prog_name="kpsim", standalone_mode=False)
    except click.ClickException as error:
        meant = _MEANT.get(error.option_name) if isinstance(error, click.NoSuchOption) else None
        if meant and isinstance(error, click.NoSuchOption):
            error = click.UsageError(f"No such option {error.option_name!r}. Write {meant}", ctx=error.ctx)
        error.show()
        code = error.exit_code
    except MemoryError:
        click.echo("there is not enough memory for this; a smaller cluster or fewer --jobs take less", err=True)
        code = NO_MEMORY
    except (click.Abort, KeyboardInterrupt):
        click.echo(SAID, err=True)
        code = INTERRUPTED
    except KpsimError as error:
        click.echo(str(error), err=True)
        code = error.exit_code
    except OSError as error:
        if error.errno not in REFUSED_BY_DISKS and not _is_nowhere():
            raise
        where = f"{error.filename}: " if error.filename else ""
        why = (
            "the directory that kpsim was started in is gone; change into another" if _is_nowhere() else error.strerror
        )
        click.echo(f"{where}cannot be read or written: {why}", err=True)
        code = InputError.exit_code
    except SystemExit as done:
        code = done.code
    return code if isinstance(code, int) else 0
