"""The road engine on this machine: graphs made of map extracts, the processes that answer."""
