"""A look into datasets: what is in them, what is suspicious, and pages and recordings that show it."""
