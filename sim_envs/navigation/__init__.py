"""Where a robot can be and drive in a mesh, and how far it is."""

from sim_envs.navigation.navigation import Navigation

__all__ = ["Navigation"]
