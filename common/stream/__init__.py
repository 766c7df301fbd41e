"""What writers and readers of a stream agree on: its packs, its dead letters, what waits."""
