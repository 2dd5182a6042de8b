"""Simulators behind one port, tasks, gymnasium environments, metrics and evaluation."""
