"""What is asked of a robot: episodes, their generation and their files."""
