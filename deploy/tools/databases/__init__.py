"""`fleetline databases`: more databases of the ones that there are."""
