"""What each role says of its processes. Label `process`: as `fleetline status` calls them."""

from common.metrics.metric import counter, gauge

_PROCESS = ("process",)

BUILD = gauge("fleetline_build_info", "Always 1; `version` is that of the code.", "", ("version",))
UP = gauge(
    "fleetline_process_up",
    "1 while the process runs.",
    "0 for longer than a restart takes (5 s): it cannot start.",
    _PROCESS,
)
RESTARTS = counter(
    "fleetline_process_restarts_total",
    "How often the process was started again after it had ended by itself.",
    "More than once an hour: its log says of what it dies.",
    _PROCESS,
)
STARTED = gauge(
    "fleetline_process_start_time_seconds", "When it started, as epoch seconds.", "", _PROCESS
)
CPU = counter(
    "fleetline_process_cpu_seconds_total",
    "CPU time of the process, user and system.",
    "A rate near 1 for minutes: one core is all that a process can use.",
    _PROCESS,
)
RESIDENT = gauge(
    "fleetline_process_resident_bytes",
    "Memory that it holds.",
    "It grows for hours without the load doing so.",
    _PROCESS,
)
REPORT_AGE = gauge(
    "fleetline_report_age_seconds",
    "Since the process last said its numbers; it does once a second.",
    "Above 10: it hangs, and its other numbers are old.",
    _PROCESS,
)
LOG_LINES = counter(
    "fleetline_log_lines_total",
    "Lines that were logged, by level (docs/logs.md).",
    "Any `error` or `critical`: somebody should read it.",
    ("level",),
)

METRICS = (BUILD, UP, RESTARTS, STARTED, CPU, RESIDENT, REPORT_AGE, LOG_LINES)
