"""Typed settings of commands, the ranges of their values, and what `auto` becomes."""
