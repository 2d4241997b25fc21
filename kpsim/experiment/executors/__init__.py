"""Executors beyond the plain ones of `kpsim.experiment.workers`: a Dask scheduler, and what local workers import."""
