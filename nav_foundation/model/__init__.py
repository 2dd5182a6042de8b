"""Networks: ours (network.py joins its parts), and the published ones in `published`."""
