"""From samples to statements: tallies, percentiles, intervals."""

__all__: list[str] = []
