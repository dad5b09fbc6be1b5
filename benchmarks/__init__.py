"""What is slow to show, a command each, with its results beside it.

A package, not only a folder: a dependency of ours once installed one of this name, which then came first.
"""
