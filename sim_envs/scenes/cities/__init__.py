"""Procedural city blocks."""
