"""What a policy makes of pictures that people have: no robot and no simulator is needed."""
