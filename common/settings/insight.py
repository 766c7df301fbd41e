"""What must hold between the settings of trips and statistics and others."""

from typing import Protocol

# How far trips and statistics stay behind the clock: a row that could commit later is marked as
# late, so it must be more than the longest statement of the history takes.
INSIGHT_LAG_S = 15.0
_DAY_S = 86_400


class InsightSettings(Protocol):
    """The settings that are looked at."""

    @property
    def insight(self) -> str: ...
    @property
    def database_timeout_s(self) -> float: ...
    @property
    def history_retention_days(self) -> int: ...
    @property
    def event_age_max_s(self) -> float: ...


def require_insight(settings: InsightSettings) -> None:
    """Raise `ValueError` where they contradict each other."""
    if settings.insight == "on" and settings.database_timeout_s >= INSIGHT_LAG_S:
        raise ValueError(
            f"DATABASE_TIMEOUT_S must be below {INSIGHT_LAG_S:g} s, or INSIGHT off: trips and "
            "statistics follow the history that far behind"
        )
    if 0 < settings.history_retention_days * _DAY_S < settings.event_age_max_s + _DAY_S:
        raise ValueError(
            "HISTORY_RETENTION_DAYS must be a day more than EVENT_AGE_MAX_S or more: a late fix "
            "would make a day again that was dropped"
        )
