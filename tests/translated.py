"""An app's request translated in one go, as its path does it in pieces."""

from ingest.apps.phone_apps import APPS
from ingest.apps.translation import Translation
from ingest.apps.upload import Upload

APP_NAMES = [app.name for app in APPS]
_BY_NAME = {app.name: app for app in APPS}


def translated(name: str, upload: Upload, *, server_time: bool = False) -> Translation:
    """What an upload of an app means. Raises `InvalidUpdate`."""
    app, found = _BY_NAME[name], Translation()
    for item in app.read(upload):
        found.add(item, server_time=server_time)
    found.require_known_shape(app.expected)
    return found
