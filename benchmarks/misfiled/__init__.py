"""How well `uota misfiled` finds what does not belong, compared with methods of others on the same features."""
