"""Who opens connections to which service port, and when."""

__all__: list[str] = []
