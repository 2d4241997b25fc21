"""The proxy modes, each in a room of its own: they know kube-proxy, and nothing of each other."""
