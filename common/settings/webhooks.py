"""The settings of webhooks."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from common.settings.closed import parse_secrets


class WebhookSettings(BaseModel):
    """What `Settings` has for webhooks."""

    # on: webhooks are sent. off: they are not; what they would be told waits in the database.
    webhooks: Literal["on", "off"] = "on"
    # on: webhooks may lead to addresses that are not public; for tests and closed networks.
    webhook_private: Literal["on", "off"] = "off"
    # Secrets of 32 bytes or more that the secrets of webhooks are computed with, separated by
    # commas; the first makes new ones. Empty: whoever has the database can sign. (`fleetline up`
    # makes one of its own.)
    webhook_secret: Annotated[str, Field(repr=False)] = ""

    def webhook_keys(self) -> list[str]:
        """WEBHOOK_SECRET, newest first. Raises `ValueError`."""
        return parse_secrets(self.webhook_secret, "WEBHOOK_SECRET")
