"""A request around its meaning: its body, who asks, its query, how failures are worded."""
