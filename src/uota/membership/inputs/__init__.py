"""Reading of members: their vectors, groups and names, from objects in memory and from files."""
