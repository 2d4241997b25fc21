"""Stories: a Service, a packet, a name, told rule by rule on a scenario or on a dump."""
