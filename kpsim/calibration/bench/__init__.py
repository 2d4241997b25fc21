"""A host's kernel is timed here: rules from elsewhere are loaded into namespaces, and packets are sent through.

All of it happens in one process with namespaces that have no names, so that they end with it, however it ends.  Nothing
here knows what a rule means: tools, their input and the addresses behind it come in as a :class:`~.plan.Plan`, and
measured rows go out, in the columns of a table of commands and packets.
"""
