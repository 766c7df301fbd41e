"""For whoever runs Fleetline: the page of metrics, dashboards, `fleetline top` and `trace`."""
