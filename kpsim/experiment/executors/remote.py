"""An existing Dask scheduler as an executor: tasks go to its workers, which have the same kpsim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from kpsim.errors import InputError, MissingExtra
from kpsim.experiment.sweeps import model_digest

Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")

PATIENCE_S = 10  # until a scheduler that does not answer is one that is not there
START = "start it with 'dask scheduler', and workers with 'dask worker ADDRESS --nworkers auto --nthreads 1'"


class Remote(Executor):
    """A scheduler's executor, which says how many tasks its workers take at once."""

    carries = False  # a task goes through the scheduler's graph

    def __init__(self, inner: Any, hands: int) -> None:
        self.inner, self.hands = inner, hands

    def submit(
        self, fn: Callable[Arguments, Answer], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Answer]:
        """Return the future of a task, which another worker takes up if one is lost."""
        future: Future[Answer] = self.inner.submit(fn, *args, **kwargs)
        return future


@contextmanager
def connected(address: str) -> Iterator[Executor]:
    """Give the executor of the scheduler at ``address``, such as ``tcp://10.0.0.5:8786``.

    Raises :class:`MissingExtra` without Dask, and :class:`InputError` where no scheduler answers, it has no workers, or
    one of them has another kpsim, whose answers would be others.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("--scheduler needs Dask: pip install 'kpsim[distributed]'") from None
    try:
        client = Client(address, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(f"--scheduler {address}: no scheduler answers there ({said}); {START}") from None
    with client:
        hands = sum(client.nthreads().values())
        if not hands:
            raise InputError(f"--scheduler {address}: it has no workers; {START}")
        for worker, digest in client.run(model_digest, on_error="return").items():
            if digest != model_digest():
                raise InputError(
                    f"--scheduler {address}: its worker {worker} has another kpsim, or none; "
                    "install the same version where it runs"
                )
        yield Remote(client.get_executor(), hands)
