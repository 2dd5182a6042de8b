"""From our episodes to other formats."""
