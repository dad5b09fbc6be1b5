"""Detection of files in the wrong folder."""
