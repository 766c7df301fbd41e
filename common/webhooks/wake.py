"""How the sender is told that there is something to do. The schema names the channel too."""

# A notification holds the number of a webhook, as text, or nothing: the list has changed.
CHANNEL = "fleetline_webhooks"
