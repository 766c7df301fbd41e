"""Which customer watches which order, and the Pub/Sub connection that feeds them."""
