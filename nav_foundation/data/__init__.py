"""Robot data: episodes on disk, what comes in, what goes out, and a look at it."""
