"""Problems as JSON, for editors and pipelines; and the answer to ``check NEW --was OLD``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpsim.cli.options import overrides, say, to_json
from kpsim.errors import InputError, Place, Problem

if TYPE_CHECKING:
    from kpsim.kube.server import ApiServer
    from kpsim.scenario.kinds import Look


class Reported(click.Command):
    """A command that prints what is wrong with its input as JSON too, where JSON was asked for."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments, which may read the files they name."""
        wanted = re.search(r"(^| )(-o ?|--output[ =])json( |$)", " ".join(args))
        try:
            return super().make_context(info_name, args, parent, **extra)
        except InputError as error:
            _tell(error, wanted=bool(wanted))
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            _tell(error, wanted=ctx.params.get("output") == "json")
            raise


def _tell(error: InputError, *, wanted: bool) -> None:
    if wanted:
        click.echo(to_json({"problems": [row_of(problem) for problem in error.problems]}))


def row_of(problem: Problem) -> dict[str, object]:
    """A problem for a program: the field as the API server calls it, the key as the file has it."""
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.col,
        "key": problem.key,
        "field": problem.path or problem.key,
        "kind": problem.kind,
        "message": problem.what,
        "mend": problem.mend,
    }


def check_update(new: Look, old: Sequence[Path], output: str, options: dict[str, Any]) -> None:
    """Say what the API server would of the objects in ``new``, where those in ``old`` were before.

    Raises
    ------
    InputError
        with everything it would refuse.
    """
    from kpsim.kube.updates import judge_update
    from kpsim.scenario.kinds import ObjectsFile, identify

    before, after = (
        [document for file in look.files if isinstance(file, ObjectsFile) for document in file.whole()]
        for look in (identify(old), new)
    )
    problems, warnings, looked_at = judge_update(after, before, _api(overrides(options)))
    if problems:
        raise InputError(problems)
    say(warnings)
    if output == "json":
        click.echo(to_json({"objects": looked_at, "problems": [], "warnings": warnings}))
    else:
        click.echo(f"{looked_at} object{'' if looked_at == 1 else 's'}: the API server takes the change")


def _api(pairs: Sequence[tuple[str, str]]) -> ApiServer:
    """The API server's flags and version, from ``--set``."""
    from kpsim.cluster.params import ClusterParams
    from kpsim.kube.server import ApiServer
    from kpsim.proxy.params import LATEST

    said = dict(pairs)
    default = ClusterParams()
    version = re.fullmatch(r"v?(\d+)\.(\d+).*", said.pop("kubernetes.version", "{}.{}".format(*LATEST)))
    ports = re.fullmatch(
        r"(\d+)-(\d+)", said.pop("cluster.serviceNodePortRange", "{}-{}".format(*default.service_node_port_range))
    )
    ranges = said.pop("cluster.serviceClusterIPRange", default.service_cluster_ip_range)
    if not version or not ports or said:
        settings = "kubernetes.version, cluster.serviceClusterIPRange and cluster.serviceNodePortRange"
        raise InputError([Problem(Place(), key="--set", what=f"an update depends on {settings} only")])
    return ApiServer(ranges, (int(ports[1]), int(ports[2])), version=(int(version[1]), int(version[2])))
