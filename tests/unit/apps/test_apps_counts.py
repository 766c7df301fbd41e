"""What `/health` and `fleetline status` say of phone apps, whatever stands in Redis."""

from ingest.apps.app_counts import by_app


def test_what_is_no_count_is_none() -> None:
    """`/health` was 500."""
    fields = [("owntracks:bad_fix", "7"), ("owntracks:other", "many"), ("odd", "\ufffd")]
    assert by_app(fields) == {"owntracks": {"bad_fix": 7, "other": 0}, "odd": {"": 0}}
