"""Training: clips of drives become many (observation, goal) pairs, which losses compare with what the drives did."""
