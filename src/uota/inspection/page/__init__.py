"""Displays of an inspection: an HTML page and a gallery."""
