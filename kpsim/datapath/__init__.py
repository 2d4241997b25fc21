"""A packet pays on its node by prices, queues and verdicts, in two forms (arrays and SimPy processes)."""
