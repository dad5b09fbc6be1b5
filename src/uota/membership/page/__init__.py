"""The page of `uota misfiled`: the members that probably do not belong, worst first."""
