"""Query strings into typed questions, a file for each kind of list."""
