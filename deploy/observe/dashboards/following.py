"""The dashboard of the roles that follow, places, insight and webhooks, and of the planner."""

from deploy.observe.dashboards.panel import Board, lines, percentiles, rate

FOLLOWING = Board(
    "following",
    "Fleetline: places, trips, webhooks, plans",
    "Do those who follow the fixes keep up, and do receivers hear of what happens?",
    (
        (
            "Places",
            (
                lines("Fixes looked at", "For fences, orders and presence: all that are accepted.",
                      (rate("fleetline_places_fixes_total"), "fixes")),
                lines("Last turn", "Since it was stored; there are ten a second.",
                      ("max(fleetline_places_turn_age_seconds)", "age"), unit="s"),
                lines("Left out", "Fixes that a rule could not take, in an hour: any is a bug.",
                      ("sum by (rule) (increase(fleetline_places_left_out_total[1h]))",
                       "{{rule}}")),
            ),
        ),
        (
            "Trips and statistics",
            (
                lines("Behind", "How far behind the clock; 15 to 30 s is well.",
                      ("max(fleetline_insight_lag_seconds)", "behind"), unit="s"),
                lines("Fixes folded", "Worked into trips and sums, a second.",
                      (rate("fleetline_insight_fixes_total"), "fixes")),
                lines("Repairs", "Drivers whose past was computed again for late fixes, a second.",
                      (rate("fleetline_insight_repairs_total"), "drivers")),
            ),
        ),
        (
            "Arrivals and roads",
            (
                lines("When orders arrive", "Worked out a second, by how; what customers are sent.",
                      (rate("fleetline_arrivals_computed_total", "method"), "{{method}}"),
                      (rate("fleetline_arrivals_published_total"), "sent")),
                lines("Arrivals", "Orders that are followed; seconds since the last look.",
                      ("sum(fleetline_arrivals_orders)", "orders"),
                      ("sum(fleetline_arrivals_away_orders)", "out of reach"),
                      ("max(fleetline_arrivals_look_age_seconds)", "age in s"),
                      (rate("fleetline_arrivals_unlogged_total"), "not logged")),
                lines("Roads", "Engines; deaths in an hour; days since speeds were learned.",
                      ("sum(fleetline_roads_engines)", "engines"),
                      ("sum(increase(fleetline_roads_restarts_total[1h]))", "deaths"),
                      ("min(fleetline_roads_learned_age_seconds) / 86400", "days")),
            ),
        ),
        (
            "Webhooks",
            (
                lines("Attempts", "By what came of them; waiting ones are tried again.",
                      (rate("fleetline_webhook_attempts_total", "result"), "{{result}}")),
                lines("Event to delivery", "Of what was taken at the first try.",
                      *percentiles("fleetline_webhook_delivery_seconds"), unit="s"),
                lines("Webhooks", "By state; /webhooks says why one fails.",
                      ("max by (state) (fleetline_webhooks)", "{{state}}")),
            ),
        ),
        (
            "Plans",
            (
                lines("Plans", "By what came of them; busy ones want more cores.",
                      (rate("fleetline_plans_total", "result"), "{{result}}")),
                lines("Question to answer", "With the wait for a solver.",
                      *percentiles("fleetline_plan_seconds"), unit="s"),
                lines("Waiting", "For a solver; and solvers that died, in an hour.",
                      ("sum(fleetline_plans_waiting)", "plans"),
                      ("sum(increase(fleetline_plan_solver_deaths_total[1h]))", "deaths")),
            ),
        ),
    ),
)  # fmt: skip
