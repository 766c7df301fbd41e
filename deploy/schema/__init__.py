"""The database's schema: numbered SQL files, and what applies them once."""
