"""Simulators behind one port, tasks, gymnasium environments, metrics and evaluation."""

from sim_envs.registration import register

register()
