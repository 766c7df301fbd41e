"""The roles that follow what is accepted, and have no options: one process each."""

from deploy.tools.role import Run, start_role


def places() -> None:
    """Run the places engine: what happens at geofences, to orders and drivers."""

    def load() -> Run:
        from consumers.places.extra import require

        require()
        from consumers.places.serve import run

        return run

    start_role("places", load)


def arrivals() -> None:
    """Run the arrivals: when the drivers of active orders will be there."""

    def load() -> Run:
        from consumers.arrivals.serve import run

        return run

    start_role("arrivals", load)


def hooks() -> None:
    """Run the sender of webhooks: events out to other servers."""

    def load() -> Run:
        from consumers.hooks.serve import run

        return run

    start_role("hooks", load)


def planner() -> None:
    """Run the planner: who serves what, in which order."""

    def load() -> Run:
        from consumers.planner.serve import run

        return run

    start_role("planner", load)
