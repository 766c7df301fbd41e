"""The front door: an nginx configuration made from a template, and the pages it serves."""
