"""What a packet pays on its node: prices, queues and verdicts, in two forms (arrays and SimPy processes)."""
