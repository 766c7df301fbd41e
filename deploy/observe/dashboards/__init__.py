"""The dashboards of deploy/grafana, made with Grafana's foundation SDK: `make observe`.

What a dashboard shows stands in `boards`, as data; how Grafana wants it written in `grafana`. The
SDK is a development dependency: whoever runs Fleetline imports the files.
"""
