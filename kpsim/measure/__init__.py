"""From samples to statements: tallies, percentiles, intervals."""
