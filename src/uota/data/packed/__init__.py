"""Images packed in larger files: tar shards and saved data sets."""
