"""The Helm chart, rendered by Helm's own library: valid for several Kubernetes versions, and what it promises.

Run by `make test-chart`, which installs the two packages that this needs beside the usual ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from services.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "docker" / "helm" / "chasqui"
ACCOUNTS = {"secretKeyRef": {"name": "database", "key": "url"}}
VERSIONS = ("1.29", "1.33", "1.37")
# Kinds of the Prometheus operator, of which kubernetes-validate has no schemas.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": {
        "engine": "tensorrt-llm",
        "model": "nvidia/Llama-3.1-8B-Instruct-FP8",
        "secrets": {"apiKeys": "keys", "accounts": "database", "huggingFace": "hub", "tls": "certificate"},
        "batches": {"enabled": True, "storageClassName": "shared"},
        "images": {"registry": "registry.example/", "tag": "1.2.3", "pullSecrets": [{"name": "pull"}]},
        "edge": {"workers": 3},
        "autoscaling": {"enabled": True},
        "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
        "models": {"storageClassName": "fast"},
        "settings": {"CHASQUI_PARALLEL": 64},
        "tracesEndpoint": "http://collector:4317",
        "nodeSelector": {"gpu": "h100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "priorityClassName": "serving",
        "podAnnotations": {"a": "b"},
    },
    "a shared claim": {"models": {"existingClaim": "models"}, "replicas": 5},
    "batches on a claim": {
        "secrets": {"accounts": "database"},
        "batches": {"enabled": True, "existingClaim": "files", "parallel": 8},
    },
    "batches in a bucket": {
        "secrets": {"accounts": "database", "bucket": "storage"},
        "batches": {"enabled": True, "bucket": "s3://requests/files"},
    },
    "nothing kept": {"models": {"persistence": False}, "networkPolicy": {"enabled": False}},
}


def render(values: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The objects by kind and name."""
    chart = helm_python.Chart.load(str(CHART))
    rendered = chart.render(values, name="demo", namespace="prod")
    texts = [text for name, text in rendered.items() if name.endswith(".yaml")]
    objects = [found for text in texts for found in yaml.safe_load_all(text) if found]
    return {(found["kind"], found["metadata"]["name"]): found for found in objects}


def containers(found: dict[str, Any]) -> list[dict[str, Any]]:
    pod = found["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def pods(objects: dict[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    return {kind: found for (kind, _), found in objects.items() if kind in ("StatefulSet", "Deployment")}


def test_helm_finds_nothing_wrong() -> None:
    found = helm_python.lint(str(CHART))
    assert found["errors"] == []
    assert [message["error"] for message in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_every_object_is_valid_in_kubernetes(values: dict[str, Any], version: str) -> None:
    checked = [found for (kind, _), found in render(values).items() if kind not in FOREIGN]
    assert len(checked) > 5
    for found in checked:
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"replica": 3}, {"engine": "vllm"}, {"replicas": 0}, {"edge": {"worker": 1}}, {"settings": {"PARALLEL": 1}}),
        {"batches": {"enabled": True}},  # without accounts
        # The image of that server lacks what reads buckets.
        {
            "engine": "tensorrt-llm",
            "secrets": {"accounts": "database"},
            "batches": {"enabled": True, "bucket": "s3://requests"},
        },
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError):
        render(wrong)


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_what_is_selected_is_there(values: dict[str, Any]) -> None:
    objects = render(values)
    labels = [found["spec"]["template"]["metadata"]["labels"] for found in pods(objects).values()]
    labels += [found["metadata"]["labels"] for (kind, _), found in objects.items() if kind == "Service"]
    for found in objects.values():
        spec = found["spec"]
        if found["kind"] not in ("PrometheusRule", "HorizontalPodAutoscaler", "PersistentVolumeClaim"):
            chosen = spec.get("podSelector") or spec["selector"]
            wanted = chosen.get("matchLabels", chosen).items()
            assert any(wanted <= one.items() for one in labels), found


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_parts_get_settings_that_exist_and_find_each_other(values: dict[str, Any]) -> None:
    objects = render(values)
    given: dict[str, dict[str, str]] = {}
    for found in pods(objects).values():
        for container in containers(found):
            environ = {pair["name"]: pair.get("value", "") for pair in container["env"]}
            given[container["name"]] = environ
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            in_bucket = environ.get("CHASQUI_FILES", "").startswith("s3://")
            assert ("CHASQUI_FILES" in environ) == ("files" in mounts or in_bucket)
            assert in_bucket == ("AWS_ACCESS_KEY_ID" in environ)
            if "files" in mounts:
                assert {environ["CHASQUI_FILES"].rpartition("/")[0], environ["TMPDIR"]} == {mounts["files"]}
                assert {"name": "CHASQUI_ACCOUNTS", "valueFrom": ACCOUNTS} in container["env"]
            Settings.read({name: value for name, value in environ.items() if name.startswith("CHASQUI_")})
    service = objects["Service", "demo-chasqui-replicas"]
    ports = {port["port"]: port["targetPort"] for port in service["spec"]["ports"]}
    listening = {
        port["name"]: port["containerPort"]
        for container in containers(objects["StatefulSet", "demo-chasqui-replica"])
        for port in container["ports"]
    }
    assert {port: listening[name] for port, name in ports.items()} == {port: port for port in ports}
    config = given["config"]
    addresses = [config["CHASQUI_SERVER_ADDRESS"], *config["CHASQUI_EDGE_ADDRESS"].split(",")]
    assert [address.partition(":")[0] for address in addresses] == ["demo-chasqui-replicas"] * len(addresses)
    assert {int(address.partition(":")[2]) for address in addresses} <= set(ports)
    workers = [name for name in given if name.startswith("edge-")]
    assert len(addresses) == 1 + len(workers)
    runners = ["batches"] * ("batches" in given)
    assert bool(runners) == bool(values.get("batches"))
    relays = {given[name]["CHASQUI_RELAY_ADDRESS"] for name in (*workers, *runners, "server")}
    assert relays == {"unix:/run/chasqui/relay.sock"}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_nothing_runs_as_root_or_may_do_or_write_more_than_it_must(values: dict[str, Any]) -> None:
    for found in pods(render(values)).values():
        pod = found["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(found):
            allowed = container["securityContext"]
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            compiles = container["name"] == "server" and values.get("engine") == "tensorrt-llm"
            assert allowed["readOnlyRootFilesystem"] is not compiles
            assert container["resources"]["limits"]["memory"]


def test_a_pod_gets_more_time_to_end_than_its_parts_take() -> None:
    objects = render({"gracePeriodSeconds": 100})
    replica, envoy = pods(objects)["StatefulSet"], pods(objects)["Deployment"]
    # The drain delay, the grace period, and 50 s that an engine may take to end.
    assert replica["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 2 + 100 + 50
    given = [{pair["name"]: pair.get("value") for pair in one["env"]} for one in containers(replica)]
    assert [environ["CHASQUI_GRACE_PERIOD"] for environ in given] == ["100", "100"]
    [container] = envoy["spec"]["template"]["spec"]["containers"]
    assert {"name": "ENVOY_DRAIN_SECONDS", "value": "100"} in container["env"]
    assert envoy["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 5 + 100
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]


def test_probes_ask_grpc_for_its_health_and_give_a_model_time_to_load() -> None:
    server, edge = containers(pods(render({}))["StatefulSet"])
    assert {server[probe]["grpc"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {50051}
    assert server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"] == 1800
    # An engine that stalls is not ready at once, and is started again after minutes only.
    assert server["livenessProbe"]["periodSeconds"] * server["livenessProbe"]["failureThreshold"] == 300
    assert edge["readinessProbe"]["tcpSocket"]["port"] == 8000


def test_files_are_on_a_claim_that_every_replica_can_mount_and_that_outlives_the_release() -> None:
    values = VALUES["everything"]
    claim = render(values)["PersistentVolumeClaim", "demo-chasqui-files"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert not any(kind == "PersistentVolumeClaim" for kind, _ in render(VALUES["batches on a claim"]))


def test_every_port_with_metrics_may_be_asked_by_prometheus() -> None:
    objects = render(VALUES["everything"])
    policy = objects["NetworkPolicy", "demo-chasqui-replica"]["spec"]["ingress"][1]["ports"][0]
    ports = [port for port in objects["Service", "demo-chasqui-replicas"]["spec"]["ports"] if "metrics" in port["name"]]
    assert [port["port"] for port in ports] == list(range(policy["port"], policy["endPort"] + 1))


def test_a_gpu_is_asked_for_by_tensorrt_llm_alone() -> None:
    with_gpu = containers(pods(render({"engine": "tensorrt-llm", "server": {"gpus": 2}}))["StatefulSet"])[0]
    assert with_gpu["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert with_gpu["image"] == "chasqui/server-gpu:latest"
    without = containers(pods(render({}))["StatefulSet"])[0]
    assert "nvidia.com/gpu" not in without["resources"]["limits"]
    assert without["image"] == "chasqui/server:latest"


def test_the_autoscaler_owns_the_number_of_replicas_and_asks_for_metrics_that_the_adapter_gives() -> None:
    objects = render({"autoscaling": {"enabled": True}})
    assert "replicas" not in pods(objects)["StatefulSet"]["spec"]
    scaler = objects["HorizontalPodAutoscaler", "demo-chasqui"]["spec"]
    asked = {metric["pods"]["metric"]["name"]: metric["pods"]["target"]["averageValue"] for metric in scaler["metrics"]}
    assert asked == {"chasqui_calls_waiting": "4", "chasqui_engine_kv_cache_use": "800m"}
    adapter = yaml.safe_load((CHART.parent / "prometheus-adapter.yaml").read_text())
    assert {rule["name"]["as"] for rule in adapter["rules"]["custom"]} == set(asked)


def test_the_alerts_of_the_operator_are_those_of_compose() -> None:
    objects = render(VALUES["everything"])
    rules = yaml.safe_load((ROOT / "docker" / "observability" / "alerts.yaml").read_text())
    assert objects["PrometheusRule", "demo-chasqui"]["spec"] == rules
    jobs = {
        relabeling["replacement"]
        for (kind, _), found in objects.items()
        if kind == "ServiceMonitor"
        for endpoint in found["spec"]["endpoints"]
        for relabeling in endpoint["relabelings"]
    }
    scraped = yaml.safe_load((ROOT / "docker" / "observability" / "prometheus.yaml").read_text())
    assert jobs == {job["job_name"] for job in scraped["scrape_configs"]}


def test_every_value_has_a_schema() -> None:
    def names(values: dict[str, Any], schema: dict[str, Any]) -> None:
        properties = schema.get("properties")
        if properties is not None:
            assert set(values) <= set(properties)
            for name, value in values.items():
                if isinstance(value, dict):
                    names(value, properties[name])

    names(yaml.safe_load((CHART / "values.yaml").read_text()), json.loads((CHART / "values.schema.json").read_text()))
