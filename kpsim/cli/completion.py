"""``kpsim completion``: the lines a shell reads to complete kpsim's commands, options and names."""

from __future__ import annotations

import click

VARIABLE = "_KPSIM_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    r"""Print what makes SHELL complete commands, options, modes, keys of --set, scenarios and Service names.

    \b
    bash   eval "$(kpsim completion bash)"   in ~/.bashrc
    zsh    eval "$(kpsim completion zsh)"   in ~/.zshrc, after compinit
    fish   kpsim completion fish > ~/.config/fish/completions/kpsim.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    command = click.get_current_context().find_root().command
    instance = kind(command, {}, "kpsim", VARIABLE)
    click.echo(instance.source_template % instance.source_vars())  # source() would run an old bash to ask its version
