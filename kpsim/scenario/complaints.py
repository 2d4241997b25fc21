"""A reading of a scenario gathers complaints: problems, each with its place, and warnings."""

from __future__ import annotations

from kpsim.documents import Key
from kpsim.errors import InputError, Problem
from kpsim.scenario.tree import Tree


class Complaints:
    """Problems and warnings about one tree, gathered until everything was looked at."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.problems: list[Problem] = [*tree.problems]
        self.warnings: list[str] = []

    def problem(self, key: Key, what: str, mend: str = "", *, on_key: bool = False) -> None:
        """Add a problem with what stands under ``key``, or with the key itself."""
        self.problems.append(self.tree.problem(key, what, mend, on_key=on_key))

    def warning(self, text: str) -> None:
        """Add what a user should know and need not mend."""
        self.warnings.append(text)

    def about(self, key: str) -> bool:
        """Return whether something is wrong with ``key``, dotted, or below it."""
        return any(problem.key == key or problem.key.startswith((f"{key}.", f"{key}[")) for problem in self.problems)

    def refusal(self) -> InputError:
        """Return all problems as one error, without those that only follow from an earlier one at the same place."""
        first: dict[object, Problem] = {}
        for problem in self.problems:
            again = problem.what if problem.kind else problem.place.line or problem.what
            first.setdefault((problem.place, again), problem)  # the API server may have several causes at one place
        return InputError(first.values())
