"""Images as files in folders."""
