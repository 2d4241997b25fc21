"""Connections: the clients that open them, the service ports they go to, and their times."""
