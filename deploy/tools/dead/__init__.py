"""`fleetline dead`: letters that could not be stored, looked at and sent again."""
