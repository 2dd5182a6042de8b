"""From other formats into ours: each module reads one format as `Drive`s."""
