"""A limit is hunted by noisy bisection: values are probed where the crossing may be, until its interval is narrow."""
