"""Files in the wrong folder."""
