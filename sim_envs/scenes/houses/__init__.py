"""Procedural houses."""
