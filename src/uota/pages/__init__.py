"""What all pages share: their assembly, packed numbers and pictures, and the scripts and styles of every page."""
