"""The Helm chart: linted, rendered with sets of values, and held against Kubernetes' schemas.

No cluster has run it: what an API server would say beyond the schemas is not known here.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from common.settings import Settings
from deploy.cli import app
from deploy.container.health import CHECKS
from deploy.stack.environment import USED

CHART = Path(__file__).parents[3] / "deploy/helm/fleetline"
VERSIONS = ("1.35", "1.36", "1.37")
NETWORK = {"trustedProxies": ["10.244.0.0/16"], "ingress": {"enabled": True, "tlsSecret": "tls"}}
SCALING = {
    role: {"autoscaling": {"enabled": True}, "replicas": 3}
    for role in ("gateway", "ingest", "fanout")
}
EVERYTHING: dict[str, Any] = {
    **NETWORK, **SCALING,
    "consumers": {"pods": 3},
    "severalDatabases": True,
    "settings": {"RATE_FIXES_PER_S": 2.5, "BACKLOG_MAX": 3_000_000, "AUTH_JWKS": "/keys/jwks.json"},
    "gateway": {
        **SCALING["gateway"],
        "service": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    },
    "extraVolumes": [{"name": "keys", "configMap": {"name": "jwks"}}],
    "extraVolumeMounts": [{"name": "keys", "mountPath": "/keys", "readOnly": True}],
    "publicUrl": "https://track.example.org",
    "image": {"repository": "registry.example.org/fleetline", "digest": f"sha256:{'0' * 64}"},
    "networkPolicy": {"metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
    "imagePullSecrets": [{"name": "registry"}], "serviceAccountName": "fleetline",
    "priorityClassName": "high", "nodeSelector": {"disk": "fast"},
    "podAnnotations": {"a": "b"}, "tolerations": [{"key": "spot", "operator": "Exists"}],
    "monitoring": {
        name: {"enabled": True, "labels": {"release": "prometheus"}}
        for name in ("podMonitor", "rules", "dashboards")
    },
}  # fmt: skip
SETS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "everything": EVERYTHING,
    "least": {
        "shards": 1, "consumers": {"pods": 1}, "networkPolicy": {"enabled": False},
        **{role: {"replicas": 1} for role in ("gateway", "ingest", "fanout")},
        **{
            role: {"enabled": False}
            for role in ("insight", "places", "hooks", "arrivals", "planner")
        },
    },
}  # fmt: skip


@cache
def rendered(name: str) -> list[dict[str, Any]]:
    """All objects with one of the sets of values."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(SETS[name], name="fleet", namespace="track")
    text = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    return [doc for one in text for doc in yaml.safe_load_all(one) if doc]


def pods(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(role, pod) of all that run something."""
    for one in rendered(name):
        if one["kind"] in {"Deployment", "Job"}:
            labels = one["spec"]["template"]["metadata"]["labels"]
            yield labels["app.kubernetes.io/component"], one["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_to_say(name):
    report = helm_python.lint(CHART, SETS[name], strict=True)
    assert report["errors"] == []
    # 1: that the chart has no icon.
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_of_kubernetes(version):
    seen = set()
    for one in rendered("everything"):
        if one["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        kubernetes_validate.validate(one, version, strict=True)
        seen.add(one["kind"])
    assert seen >= {
        "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy",
        "PodDisruptionBudget", "Service",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["as it comes", "least"])
def test_fewer_values_give_objects_too(name):
    for one in rendered(name):
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)


def test_a_misspelt_field_would_be_found():
    (one,) = [one for one in rendered("least") if one["kind"] == "Job"]
    wrong = {**one, "spec": {**one["spec"], "backofLimit": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 3}, {"ingest": {"replicas": 0}}, {"settings": {"location_ttl": 1}},
        {"settings": {"REDIS_URL": "redis://:secret@redis"}}, {"trustedProxies": ["all"]},
        {"bindHost": "eth0"}, {"shards": 0},
    ],
)  # fmt: skip
def test_values_that_are_none_are_refused(values):
    assert helm_python.lint(CHART, values)["errors"]


def test_more_pods_than_shards_are_refused():
    with helm_python.Chart.load(CHART) as chart, pytest.raises(helm_python.HelmError, match="more"):
        chart.render({"shards": 2, "consumers": {"pods": 3}}, name="fleet")


def test_pods_of_the_consumers_share_the_shards_by_themselves():
    (one,) = [
        doc for doc in rendered("everything")
        if doc["kind"] == "Deployment" and doc["metadata"]["name"].endswith("-consumers")
    ]  # fmt: skip
    assert one["spec"]["replicas"] == 3
    (container,) = one["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["consumers"]


@pytest.mark.parametrize("name", SETS)
def test_pods_may_do_nothing_but_their_work(name):
    for role, pod in pods(name):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], role
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        # INGEST_PORT=tcp://10.0.0.1:8010 of a Service is no port.
        assert not pod["enableServiceLinks"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("name", SETS)
def test_pods_know_settings_that_exist_and_secrets_that_they_use(name):
    variables = {field.upper() for field in Settings.model_fields}
    for role, pod in pods(name):
        (container,) = pod["containers"]
        env = {one["name"]: one["value"] for one in container["env"]}
        assert len(env) == len(container["env"]), "none is said twice"
        files = {name for name in env if name.endswith("_FILE")}
        assert {name.removesuffix("_FILE") for name in files} | (env.keys() - files) <= variables
        mounted = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        keys = {item["path"] for secret in mounted for item in secret["items"]}
        assert {env[name].rpartition("/")[2] for name in files} == keys
        opens = {"redis_url", "database_url", "auth_secret", "webhook_secret"}
        if SETS[name].get("severalDatabases"):
            opens |= {"database_urls"}
        if not SETS[name].get("hooks", {}).get("enabled", True):
            opens -= {"webhook_secret"}
        assert keys == (USED.get(role, frozenset()) & opens) or role == "gateway", role
        assert role != "gateway" or not keys


@pytest.mark.parametrize("name", SETS)
def test_pods_run_commands_that_exist_and_are_asked_how_they_are(name):
    commands = {
        one.name or one.callback.__name__ for one in app.registered_commands if one.callback
    }
    commands |= {group.name for group in app.registered_groups}
    for role, pod in pods(name):
        (container,) = pod["containers"]
        assert container["args"][0] == role
        assert role in commands
        if role == "migrate":
            continue
        drain_s = float({one["name"]: one["value"] for one in container["env"]}["DRAIN_TIMEOUT_S"])
        before_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})
        assert pod["terminationGracePeriodSeconds"] > drain_s + before_s["seconds"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        assert role in CHECKS


def test_an_ingest_of_before_stays_while_the_others_are_new():
    with helm_python.Chart.load(CHART) as chart:
        values = {"image": {"tag": "2"}, "ingest": {"tag": "1"}}
        text = "".join(chart.render(values, name="fleet").values())
    images = re.findall(r"image: fleetline:(.)\n", text)
    assert sorted(set(images)) == ["1", "2"]
    assert images.count("1") == 1


def test_what_has_no_pod_is_off_for_all():
    for role, pod in pods("least"):
        env = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
        assert {env[name] for name in ("INSIGHT", "PLACES", "WEBHOOKS")} == {"off"}, role


def test_settings_are_written_as_they_are_read():
    # What broke: a million was 1e+06, which is no number of fixes.
    for role, pod in pods("everything"):
        env = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
        assert env["BACKLOG_MAX"] == "3000000", role
        assert env["RATE_FIXES_PER_S"] == "2.5"
        assert pod["containers"][0]["image"].startswith("registry.example.org/fleetline@sha256:0")


def test_nobody_but_the_front_door_gets_to_ingest_and_fan_out():
    policies = {one["metadata"]["name"]: one["spec"] for one in rendered("as it comes")
                if one["kind"] == "NetworkPolicy"}  # fmt: skip
    for role in ("ingest", "fanout"):
        door, metrics = policies[f"fleet-fleetline-{role}"]["ingress"]
        assert door["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == (
            "gateway"
        )
        assert [port["port"] for port in metrics["ports"]] == ["metrics"]
    assert policies["fleet-fleetline-gateway"]["policyTypes"] == ["Ingress", "Egress"]


def test_an_autoscaler_alone_counts_pods():
    counted = {one["spec"]["scaleTargetRef"]["name"] for one in rendered("everything")
               if one["kind"] == "HorizontalPodAutoscaler"}  # fmt: skip
    for one in rendered("everything"):
        if one["kind"] == "Deployment":
            assert ("replicas" in one["spec"]) == (one["metadata"]["name"] not in counted)
