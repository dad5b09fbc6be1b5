"""What an inspection computes from its table of views."""
