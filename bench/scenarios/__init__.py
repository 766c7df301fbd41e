"""One file for each scenario: `NAME`, `TITLE`, `BOUND_S` and `run(bench) -> figures`."""
