"""Images that lie as files in folders."""
