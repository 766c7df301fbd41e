"""What is asked for, judged: every fault is named with its place. Pure."""
