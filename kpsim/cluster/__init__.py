"""The cluster as columns: growing it from groups and objects, and what happens to it by chance and by events."""
