"""What each dashboard shows, and what a reader is to see in it."""

from deploy.observe.dashboards.following import FOLLOWING
from deploy.observe.dashboards.panel import Board, lines, number, percentiles, quantile, rate

# POST one, POST many: the aims are theirs.
_POSTS = 'route=~"/api/v1/drivers/.*location.*"'
_ACCEPTED = rate("fleetline_fixes_total", where='result="accepted"')
_STORED = rate("fleetline_stored_rows_total")

OVERVIEW = Board(
    "overview",
    "Fleetline: is it well?",
    "Green means well. Below: what it does now, and what fails.",
    (
        (
            "Is it well?",
            (
                number("Fixes refused", "Fixes a second that are answered 503.",
                       rate("fleetline_fixes_total", where='result="overloaded"'), limit=0.01),
                number("Redis away", "1 while ingest has no connection to Redis.",
                       "1 - min(fleetline_redis_up)", limit=1),
                number("Database away", "Shards that find the database away.",
                       "count(fleetline_database_up) - sum(fleetline_database_up)", limit=1),
                number("Behind", "Age of the oldest fix that waits to be stored.",
                       "max(fleetline_lag_seconds)", unit="s", limit=60),
                number("Not delivering", "1 while customers see old positions.",
                       "1 - min(fleetline_delivering)", limit=1),
                number("Dead letters", "Fixes that wait for a person.",
                       "sum(fleetline_dead_letters_waiting)", limit=1),
                number("Processes down", "Processes that should run and do not.",
                       "count(fleetline_process_up) - sum(fleetline_process_up)", limit=1),
                number("Errors in the log", "Lines of the last five minutes.",
                       'sum(increase(fleetline_log_lines_total{level=~"error|critical"}[5m]))',
                       limit=1),
            ),
        ),
        (
            "What does it do?",
            (
                lines("Fixes", "What becomes of fixes that are sent, a second.",
                      (rate("fleetline_fixes_total", "result"), "{{result}}")),
                lines("From POST to the customer's frame", "The aim is 50 ms for 99 of 100.",
                      *percentiles("fleetline_frame_age_seconds"), unit="s"),
                lines("Answers to POST", "The aim is 1 to 50 ms.",
                      *percentiles("fleetline_request_seconds", _POSTS), unit="s"),
                lines("Drivers, sockets, orders watched", "How many there are.",
                      ("sum(fleetline_drivers)", "drivers"),
                      ("sum(fleetline_sockets)", "sockets"),
                      ("sum(fleetline_channels)", "orders watched")),
            ),
        ),
        (
            "What fails, and what does it cost?",
            (
                lines("Failed answers", "By status; 5xx is ours.",
                      (rate("fleetline_requests_total", "status", 'status=~"[45].."'),
                       "{{status}}")),
                lines("Phone apps", "Items that were not stored as they were sent.",
                      (rate("fleetline_app_items_total", "app, reason"), "{{app}} {{reason}}")),
                lines("CPU", "Cores a process uses; it cannot use more than one.",
                      (rate("fleetline_process_cpu_seconds_total", "process"), "{{process}}")),
                lines("Memory", "By process.",
                      ("sum by (process) (fleetline_process_resident_bytes)", "{{process}}"),
                      unit="bytes"),
            ),
        ),
    ),
)  # fmt: skip

WAY = Board(
    "way-of-a-fix",
    "Fleetline: the way of a fix",
    "Where does the time go, from the driver's POST to the customer and to the history?",
    (
        (
            "In",
            (
                lines("Answer to POST one", "Head to answer; most of it is the write to Redis.",
                      *percentiles("fleetline_request_seconds",
                                   'route="/api/v1/drivers/{driver_id}/location"'), unit="s"),
                lines("Answer to POST many", "A body of many fixes.",
                      *percentiles("fleetline_request_seconds",
                                   'route="/api/v1/drivers/locations"'), unit="s"),
                lines("Write to Redis", "Until it is on disk: the disk's time, mostly.",
                      *percentiles("fleetline_write_seconds"), unit="s"),
                lines("Fixes in a pack", "The busier, the more share one entry and one sync.",
                      (f"{_ACCEPTED} / {rate('fleetline_packs_total')}", "fixes")),
            ),
        ),
        (
            "To the customer",
            (
                lines("Arrival to map", "Until the live position is written and published.",
                      *percentiles("fleetline_live_age_seconds"), unit="s"),
                lines("Arrival to frame", "Until the frame is written to sockets.",
                      *percentiles("fleetline_frame_age_seconds"), unit="s"),
                lines("Frames", "Offered to sockets, and replaced by newer ones before they left.",
                      (rate("fleetline_frames_total"), "offered"),
                      (rate("fleetline_frames_conflated_total"), "conflated")),
            ),
        ),
        (
            "To the history",
            (
                lines("Arrival to commit", "A row waits up to 0.2 s for its batch.",
                      *percentiles("fleetline_store_age_seconds"), unit="s"),
                lines("One batch", "A transaction of the history.",
                      *percentiles("fleetline_store_seconds"), unit="s"),
                lines("In and out", "Accepted and stored run together, or the lag grows.",
                      (_ACCEPTED, "accepted"),
                      (rate("fleetline_live_fixes_total"), "on the map"),
                      (_STORED, "stored")),
            ),
        ),
    ),
)  # fmt: skip

SHARDS = Board(
    "shards",
    "Fleetline: shards",
    "Is one shard behind, or busier than the others, and who works it off?",
    (
        (
            "What waits",
            (
                lines("Lag in fixes", "Fixes that wait to be stored.",
                      ("max by (shard) (fleetline_lag_fixes)", "{{shard}}")),
                lines("Lag in seconds", "Age of the oldest of them.",
                      ("max by (shard) (fleetline_lag_seconds)", "{{shard}}"), unit="s"),
                lines("Room in fixes", "Until ingest answers 503.",
                      ("min by (shard) (fleetline_room_fixes)", "{{shard}}")),
                lines("Room in seconds", "At the pace of the last minute; no line: it lasts.",
                      ("min by (shard) (fleetline_room_seconds < +Inf)", "{{shard}}"), unit="s"),
                lines("Room for an outage", "Until fixes are refused, were the database away.",
                      ("min by (shard) (fleetline_outage_seconds < +Inf)", "{{shard}}"),
                      unit="s"),
            ),
        ),
        (
            "Who works it off",
            (
                lines("Owner", "Each shard has one.",
                      ("fleetline_shard_owner", "{{shard}} on {{host}}")),
                lines("Hosts", "As each of them sees it; they agree.",
                      ("fleetline_hosts", "{{instance}}")),
                lines("Lease age", "Confirmed once a second; above 4 s it is in doubt.",
                      ("max by (shard) (fleetline_lease_age_seconds)", "{{shard}}"), unit="s"),
                lines("Restarts", "Of workers, in ten minutes.",
                      ("increase(fleetline_process_restarts_total[10m])", "{{process}}")),
                lines("Last report", "A worker that hangs says nothing.",
                      ("fleetline_report_age_seconds", "{{process}}"), unit="s"),
            ),
        ),
        (
            "How it goes",
            (
                lines("On the map", "Fixes a second.",
                      (rate("fleetline_live_fixes_total", "shard"), "{{shard}}")),
                lines("Stored", "Rows a second.",
                      (rate("fleetline_stored_rows_total", "shard"), "{{shard}}")),
                lines("Drivers", "With a live position.",
                      ("sum by (shard) (fleetline_drivers)", "{{shard}}")),
                lines("CPU", "Cores, by worker.",
                      (rate("fleetline_process_cpu_seconds_total", "process",
                            'process=~"consumer-.*"'), "{{process}}")),
            ),
        ),
    ),
)  # fmt: skip

SOCKETS = Board(
    "sockets",
    "Fleetline: sockets",
    "Are customers connected, and do they see what is new?",
    (
        (
            "Who is here",
            (
                lines("Sockets", "Open ones, those that take nothing for now, and the limit.",
                      ("sum(fleetline_sockets)", "open"),
                      ("sum(fleetline_sockets_full)", "full"),
                      ("sum(fleetline_sockets_max)", "limit")),
                lines("Watched", "Orders, and operators' maps.",
                      ("sum(fleetline_channels)", "orders"),
                      ("sum(fleetline_operators)", "operators")),
                lines("Opened and refused", "A second; refused by status.",
                      (rate("fleetline_sockets_accepted_total"), "opened"),
                      (rate("fleetline_handshakes_refused_total", "status"), "{{status}}")),
                lines("Closed by us", "By code: 4000 is an order's end.",
                      (rate("fleetline_sockets_closed_total", "code"), "{{code}}")),
            ),
        ),
        (
            "What they see",
            (
                lines("Delivering", "1 while what is published arrives.",
                      ("min by (instance) (fleetline_delivering)", "{{instance}}")),
                lines("Probe", "Age of the last proof; one comes every 5 s.",
                      ("max by (instance) (fleetline_probe_age_seconds)", "{{instance}}"),
                      unit="s"),
                lines("Age of frames", "From arrival to the socket.",
                      *percentiles("fleetline_frame_age_seconds"), unit="s"),
                lines("Frames", "Offered, and replaced by newer ones.",
                      (rate("fleetline_frames_total"), "offered"),
                      (rate("fleetline_frames_conflated_total"), "conflated")),
            ),
        ),
        (
            "Trouble",
            (
                lines("Ended by us", "Took nothing for 20 s, or answered no ping.",
                      (rate("fleetline_sockets_stalled_total"), "stalled"),
                      (rate("fleetline_sockets_silent_total"), "silent")),
                lines("Connection to Redis", "Made anew, and proofs missed.",
                      (rate("fleetline_pubsub_reconnects_total"), "reconnects"),
                      (rate("fleetline_probes_missed_total"), "probes missed")),
                lines("Operators' map", "Messages dropped unread.",
                      (rate("fleetline_fleet_messages_dropped_total"), "dropped")),
            ),
        ),
    ),
)  # fmt: skip

DATABASE = Board(
    "database",
    "Fleetline: stores",
    "Do PostgreSQL and Redis keep up?",
    (
        (
            "PostgreSQL",
            (
                lines("Rows", "Stored, and those that came twice, a second.",
                      (_STORED, "stored"),
                      (rate("fleetline_repeats_total"), "came again")),
                lines("Batches", "Copied straight in, or staged where some may be stored.",
                      (rate("fleetline_store_batches_total", "way"), "{{way}}")),
                lines("Rows in a batch", "The busier, the more.",
                      (f"{_STORED} / {rate('fleetline_store_batches_total')}", "rows")),
                lines("One batch", "Time of a transaction: 99 of 100 are below.",
                      (quantile(0.99, "fleetline_store_seconds", "shard"), "{{shard}}"), unit="s"),
                lines("There", "1 while a shard finds the database.",
                      ("min by (shard) (fleetline_database_up)", "{{shard}}")),
                lines("Waits", "Times a stage had to wait for a store.",
                      (rate("fleetline_store_troubles_total", "shard"), "history {{shard}}"),
                      (rate("fleetline_live_troubles_total", "shard"), "live {{shard}}")),
                lines("Dead letters", "Put aside in an hour, by reason.",
                      ("sum by (reason) (increase(fleetline_dead_letters_total[1h]))",
                       "{{reason}}")),
            ),
        ),
        (
            "Redis",
            (
                lines("Memory", "Used, and the limit.",
                      ("max(fleetline_redis_memory_bytes)", "used"),
                      ("max(fleetline_redis_memory_limit_bytes)", "limit"), unit="bytes"),
                lines("A waiting fix", "Memory that it takes, as it was measured last.",
                      ("max(fleetline_waiting_fix_bytes)", "bytes"), unit="bytes"),
                lines("Writes", "Until on disk.",
                      *percentiles("fleetline_write_seconds"), unit="s"),
                lines("Refused", "Packs that Redis refused; positions it has not taken.",
                      (rate("fleetline_redis_refusals_total"), "packs a second"),
                      ("sum(fleetline_live_unwritten)", "positions")),
                lines("Lost", "Groups and entries that Redis forgot, in an hour.",
                      ("sum(increase(fleetline_groups_lost_total[1h]))", "groups"),
                      ("sum(increase(fleetline_entries_lost_total[1h]))", "entries")),
                lines("Shards that lack", "A server that answers, or a replica.",
                      ("max(fleetline_missing_shards)", "a server"),
                      ("max(fleetline_unreplicated_shards)", "a replica")),
            ),
        ),
    ),
)  # fmt: skip

BOARDS = (OVERVIEW, WAY, SHARDS, SOCKETS, DATABASE, FOLLOWING)
