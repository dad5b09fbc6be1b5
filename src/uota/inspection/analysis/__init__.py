"""Analyses of an inspection's table of views."""
