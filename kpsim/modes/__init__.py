"""The proxy modes, each in a room of its own: they know what kube-proxy is, and nothing of each other."""
