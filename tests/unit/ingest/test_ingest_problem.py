import falcon.asgi
import falcon.testing
import hiredis
import pytest
import structlog

from common.access.address import AddressLimiter
from common.errors import Fault, InvalidUpdate, Overloaded, Refused
from common.problem import MEDIA_TYPE
from ingest.http import problem
from ingest.http.access import Access


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        raise self._error


def fail(error: Exception) -> falcon.testing.Result:
    app: falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response] = falcon.asgi.App()
    problem.install(app, Access(None, AddressLimiter(0)))
    app.add_route("/", Failing(error))
    return falcon.testing.TestClient(app).simulate_get("/")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidUpdate("bad", faults=(Fault("latitude", "is required"),)), 422),
        (InvalidUpdate("bad", status=400), 400),
        (Overloaded("busy", retry_after_s=7), 503),
        (Refused(401, "who", headers=(("www-authenticate", "Bearer"),)), 401),
        (Refused(403, "no"), 403),
        (hiredis.ReplyError("OOM at 10.0.0.1"), 503),
        (RuntimeError("secret"), 500),
        (falcon.HTTPNotFound(), 404),
        (falcon.HTTPNotFound(description="no such driver"), 404),
    ],
)
def test_every_failure_is_a_problem(error: Exception, status: int) -> None:
    answer = fail(error)
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert ("errors" in answer.json) == (status == 422)
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    ("status", "title"), [(413, "Content Too Large"), (422, "Unprocessable Content")]
)
def test_titles_are_those_of_rfc_9110(status: int, title: str) -> None:
    # Python's own differ between its releases, and the front door says these.
    assert fail(falcon.HTTPError(status)).json["title"] == title


@pytest.mark.parametrize("error", [RuntimeError("secret"), hiredis.ReplyError("secret")])
def test_our_insides_stay_inside(error: Exception) -> None:
    text = fail(error).text
    assert "secret" not in text
    assert "Traceback" not in text


def test_what_failed_is_logged_with_what_its_client_calls_it() -> None:
    with structlog.testing.capture_logs() as lines:
        problem.failure_of(RuntimeError("x"), "GET", "/x/{id}", "their-7")
        problem.failure_of(hiredis.ReplyError("OOM"), "GET", "/x/{id}", "their-8")
        problem.failure_of(InvalidUpdate("bad"), "POST", "/x/{id}", "their-9")
    said = [(line["event"], line["request_id"]) for line in lines if line["event"] != "stopped"]
    assert said[0] == ("request.failed", "their-7")
    assert ("redis.refused", "their-8") in said
    assert "their-9" not in {request_id for _, request_id in said}
