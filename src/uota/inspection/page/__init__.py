"""One HTML page, and the gallery, that show an inspection."""
