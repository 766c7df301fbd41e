"""What the kernel allows a process of a stack."""

import resource


def raise_file_limit() -> None:
    """A socket is a file: children get as many as the machine allows without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
