"""The cluster as columns: growing it from groups and objects, and the changes that happen to it."""

__all__: list[str] = []
