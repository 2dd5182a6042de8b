"""The simulator that comes with the package: Embree pictures on the CPU."""

from sim_envs.embedded.simulator import EmbeddedSimulator

__all__ = ["EmbeddedSimulator"]
