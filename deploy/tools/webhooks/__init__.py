"""`fleetline webhooks`: what was delivered, what was not and why, and sending it again."""
