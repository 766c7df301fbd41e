"""The apps' queues as they are in the phones: what each takes off its queue, and on what answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Request = dict[str, Any]


def any_2xx(answer: httpx.Response) -> bool:
    """OwnTracks on Android, Traccar Client, the SDKs: anything else is sent again for ever."""
    return answer.is_success


def ios(answer: httpx.Response) -> bool:
    """OwnTracks on iOS drops its message on 4xx too."""
    return answer.is_success or answer.is_client_error


def result_ok(answer: httpx.Response) -> bool:
    """Overland."""
    try:
        return bool(answer.json()["result"] == "ok")
    except (ValueError, KeyError, TypeError):
        return False


@dataclass
class Phone:
    """A first-in, first-out queue of requests. `lost` are those taken off without a 2xx."""

    path: str
    takes_off: Callable[[httpx.Response], bool]
    queue: list[Request] = field(default_factory=list)
    lost: list[Request] = field(default_factory=list)
    answers: list[httpx.Response] = field(default_factory=list)

    def deliver(self, api: httpx.Client) -> bool:
        """Send until an answer keeps the head where it is; whether the queue is empty."""
        while self.queue:
            request = dict(self.queue[0])
            answer = api.request(request.pop("method", "POST"), self.path, **request)
            self.answers.append(answer)
            if not self.takes_off(answer):
                return False
            if not answer.is_success:
                self.lost.append(self.queue[0])
            del self.queue[0]
        return True
