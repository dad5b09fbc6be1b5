"""Reading and writing files: only regular ones are read, and what is written is whole or absent."""
