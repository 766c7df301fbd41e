"""Bodies of requests, judged member by member, so that every fault is named with its place."""
