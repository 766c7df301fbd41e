"""Problem types are a contract: their names never change, and each is one of a kind."""

import orjson

from common import problem
from common.errors import Fault


def test_names_and_titles_are_unique_and_plain():
    names = [p.name for p in problem.PROBLEMS]
    assert len(names) == len(set(names)) >= 25
    assert len({p.title for p in problem.PROBLEMS}) == len(names)
    assert all(name.replace("-", "").isalpha() and name.islower() for name in names)


def test_a_status_has_one_general_problem():
    assert problem.problem_of(404) is problem.NOT_FOUND
    assert problem.problem_of(503) is problem.UNAVAILABLE
    assert problem.problem_of(429) is problem.TOO_FAST
    assert problem.problem_of(418).status == 418
    assert problem.problem_of(507).type == problem.INTERNAL_ERROR.type


def test_a_body_says_type_and_fields():
    faults = problem.faults_listed((Fault("latitude", "is required"),))
    body = orjson.loads(problem.encode_problem(problem.INVALID_VALUE, "no", faults))
    assert body == {
        "type": "/problems/invalid-value",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "no",
        "errors": [{"field": "latitude", "detail": "is required"}],
    }
