"""Where scenes come from: procedural houses and cities, or meshes on disk."""
