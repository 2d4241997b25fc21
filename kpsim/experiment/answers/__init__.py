"""From observations to answers: objectives, one mode against another, limits, and the curves that explain."""
