"""`deploy/compose.yaml`, the image's recipe and its locks: held against their schemas and our code.

No Docker engine has run them here; `tests/system/test_image.py` runs the image otherwise.
"""

import ipaddress
import json
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from common.settings import Settings, load_settings
from deploy.cli import app
from deploy.container.health import CHECKS
from deploy.container.sbom import bill_of_materials
from deploy.local import ROLES
from deploy.stack.environment import USED
from tests.servers.image import FOLDER, compose_file, compose_roles

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "tests/compose_spec.json").read_text())
SECRETS = {"redis_url", "database_url", "auth_secret", "webhook_secret"}


@cache
def compose() -> dict[str, Any]:
    return compose_file()


def test_it_is_what_the_compose_specification_describes():
    validator = jsonschema.Draft7Validator(SCHEMA)
    validator.validate(compose())
    wrong = json.loads(json.dumps(compose()))
    wrong["services"]["ingest"]["read_onyl"] = True
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(wrong)


def test_what_is_referred_to_is_there():
    file = compose()
    for name, service in file["services"].items():
        assert set(service["networks"]) <= file["networks"].keys(), name
        assert set(service.get("secrets", [])) <= file["secrets"].keys(), name
        assert set(service.get("depends_on", [])) <= file["services"].keys(), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            there = (FOLDER / source).exists() if source[0] == "." else source in file["volumes"]
            assert there, f"{name}: {source}"


def test_every_container_has_the_least_rights():
    for name, service in compose()["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["user"].partition(":")[0]) > 0
        assert service["logging"]["options"]["max-size"]
        assert service["restart"] != "always"


def test_only_loopback_and_the_ports_of_the_table_are_published():
    published = {}
    for name, service in compose()["services"].items():
        for port in service.get("ports", []):
            host, outside, _ = port.split(":")
            assert ipaddress.ip_address(host).is_loopback
            if "profiles" not in service:
                published[name] = int(outside)
    assert published == {"gateway": 8002, "redis": 6381, "postgres": 5434}


def test_roles_are_told_settings_that_exist_and_secrets_that_they_use():
    for role, service in compose_roles().items():
        env = service.get("environment", {})
        files = {name.removesuffix("_FILE") for name in env if name.endswith("_FILE")}
        plain = {name for name in env if not name.endswith("_FILE")}
        assert {name.lower() for name in files | plain} <= Settings.model_fields.keys(), role
        assert {name.lower() for name in files} == USED.get(role, frozenset()) & SECRETS, role
        assert set(service.get("secrets", [])) == {name.lower() for name in files}
        assert not {name.lower() for name in plain} & SECRETS


def test_roles_are_commands_that_are_asked_how_they_are():
    commands = {one.callback.__name__ for one in app.registered_commands if one.callback}
    commands |= {group.name for group in app.registered_groups}
    for role, service in compose_roles().items():
        assert service["command"] == [role]
        assert role in commands
        if role != "migrate":
            assert role in CHECKS
            asked = " ".join(service["healthcheck"]["test"])
            assert asked == "CMD python -m deploy.container.health"
            grace_s = float(service["stop_grace_period"].removesuffix("s"))
            assert grace_s > Settings.model_fields["drain_timeout_s"].default * 2


def test_every_role_of_a_stack_is_one_here():
    # The road engine is a server of its own there: ROADS_URL.
    assert {*ROLES, "migrate", "gateway"} - {"roads"} <= compose_roles().keys()


def test_prometheus_takes_its_file(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = (FOLDER / "compose/prometheus.yml").read_text()
    rules = str(FOLDER / "prometheus")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/fleetline", rules))
    done = subprocess.run(
        (promtool, "check", "config", tmp_path / "prometheus.yml"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_settings_of_the_front_door_and_behind_it_fit(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for role in ("ingest", "fanout", "gateway"):
        env = compose_roles()[role]["environment"]
        told = {n.lower(): v for n, v in env.items() if not n.endswith("_FILE")}
        settings = load_settings(**told, auth_secret="s" * 32)
        assert settings.auth == "on"
        assert role == "gateway" or settings.front_doors == "10.213.77.0/24"
    inside = {name for name, one in compose()["services"].items() if "door" in one["networks"]}
    assert inside == {"gateway", "ingest", "fanout"}
    assert compose()["networks"]["door"]["internal"]


def test_secrets_are_made_once_and_are_closed_to_others(tmp_path):
    folder = tmp_path / "secrets"
    for _ in range(2):
        subprocess.run(("sh", FOLDER / "secrets.sh", folder), check=True)
        made = {file.name: file.read_text() for file in folder.iterdir()}
        first = locals().get("first", made)
    assert made == first
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made.keys() == {Path(one["file"]).name for one in compose()["secrets"].values()}
    assert len({made[name] for name in made if name.endswith(("secret", "password"))}) == 5
    for name in SECRETS:
        (tmp_path / name).write_text(made[name])
    assert f":{made['redis_password']}@redis:6379/0" in made["redis_url"]
    assert f":{made['postgres_password']}@postgres:5432/fleetline" in made["database_url"]
    assert made["redis.conf"] == f"requirepass {made['redis_password']}\n"


def test_the_recipe_pleases_its_linter():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        (hadolint, FOLDER / "Containerfile"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_recipe_says_what_the_project_says():
    text = (FOLDER / "Containerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = project["project"]["version"]
    assert f"ARG VERSION={version}\n" in text
    chart = yaml.safe_load((FOLDER / "helm/fleetline/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert copied == set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    # Docker and buildah look for one name each.
    ignore = [(ROOT / name).read_text() for name in (".containerignore", ".dockerignore")]
    assert ignore[0] == ignore[1]


def locked(name: str) -> dict[str, tuple[str, ...]]:
    """Package and marker -> its version and hashes."""
    text = (ROOT / f"requirements/{name}.lock").read_text().replace("\\\n", "")
    lines = [line.split() for line in text.splitlines() if line and line[0] not in "# "]
    return {
        f"{words[0].partition('==')[0]} {words[0]}": tuple(sorted(words[1:])) for words in lines
    }


def test_the_image_has_the_versions_that_are_tested_and_no_servers_of_its_own():
    run, image, build = locked("run"), locked("image"), locked("build")
    for lock in (image, build):
        assert {name: run.get(name) for name in lock} == lock
    names = {name.split()[0] for name in image}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        project["dependencies"],
        *(extras[e] for e in ("door", "insight", "places", "webhooks", "dispatch")),
    ]
    assert {re.split(r"[\[<>=]", one)[0] for part in wanted for one in part} <= names
    assert not {re.split(r"[\[<>=]", one)[0] for one in extras["embedded"]} & names


def test_the_bill_of_materials_names_each_package_once():
    from importlib.metadata import distributions

    bill = bill_of_materials(list(distributions()))
    names = [component["name"] for component in bill["components"]]
    assert names == sorted(set(names))
    assert {"falcon", "granian", "pydantic-settings"} <= set(names)
    assert bill["metadata"]["component"]["purl"].startswith("pkg:pypi/fleetline@")
    assert bill_of_materials(list(distributions())) == bill
