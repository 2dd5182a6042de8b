"""Running policies on many episodes, and showing what came of it."""
