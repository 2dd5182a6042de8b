"""Collection: drives of an expert, or of a policy that the expert corrects, as episodes to learn from."""
