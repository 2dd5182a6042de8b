"""nav_foundation: one visual-navigation policy for any ground robot and any kind of goal."""

__version__ = "0.1.0"
