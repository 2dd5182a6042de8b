"""Policies, the controller that drives their plans, and the agent that joins the two."""
