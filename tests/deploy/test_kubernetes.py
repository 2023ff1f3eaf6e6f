"""The manifests say what they mean to: rendered by kubectl, checked by schema and against the platform itself."""

import re
import shutil
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest

from de_platform.cli.run import DEFAULT_HEALTH_PORT
from de_platform.config.setting_specs import spec_of
from de_platform.pipeline.topics import TOPICS
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS
from tests.deploy.consumer_groups import GROUPS
from tests.deploy.deployment_files import (
    DEPLOY,
    KUBERNETES,
    ONLY_FOR_DEMOS,
    OVERLAYS,
    invocation,
    kustomized,
    long_running_modules,
)

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl, which renders them, is not here")

PARTITIONS = {"small": DEFAULT_PARTITIONS, "large": 64}

Resource = dict[str, Any]


class Manifests:
    """The resources of one overlay."""

    def __init__(self, overlay: str) -> None:
        self.overlay = overlay
        self.resources = kustomized(DEPLOY / "k8s" / "overlays" / overlay)

    def of_kind(self, kind: str) -> dict[str, Resource]:
        return {r["metadata"]["name"]: r for r in self.resources if r["kind"] == kind}

    @property
    def deployments(self) -> dict[str, Resource]:
        return self.of_kind("Deployment")

    @property
    def pods(self) -> dict[str, Resource]:
        """Pod specifications by the name of what makes them."""
        makers = {**self.deployments, **self.of_kind("Job")}
        return {name: maker["spec"]["template"]["spec"] for name, maker in makers.items()}

    @property
    def containers(self) -> list[Resource]:
        return [c for pod in self.pods.values() for c in (*pod.get("initContainers", ()), *pod["containers"])]

    @property
    def settings(self) -> Mapping[str, str]:
        (config,) = self.of_kind("ConfigMap").values()
        return config["data"]


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return Manifests(request.param)


def module_container(pod: Resource) -> Resource:
    return next(container for container in pod["containers"] if container["name"] == "module")


def test_every_resource_fits_its_schema(manifests: Manifests) -> None:
    for resource in manifests.resources:
        if resource["kind"] != "ScaledObject":
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def test_every_module_that_keeps_running_is_deployed(manifests: Manifests) -> None:
    run = {invocation(module_container(manifests.pods[name])["args"]).module for name in manifests.deployments}
    assert run == long_running_modules() - ONLY_FOR_DEMOS


def test_migrations_are_a_job(manifests: Manifests) -> None:
    assert module_container(manifests.pods["migrate"])["args"] == ["migrate", "--db", "postgres", "--db", "clickhouse"]


def test_every_environment_name_is_a_setting(manifests: Manifests) -> None:
    names = {variable["name"] for pod in manifests.pods.values() for variable in module_container(pod)["env"]}
    assert [name for name in (*names, *manifests.settings) if spec_of(name) is None] == []


def test_secrets_are_references_only(manifests: Manifests) -> None:
    assert manifests.of_kind("Secret") == {}
    assert [name for name in manifests.settings if (spec := spec_of(name)) and spec.is_secret] == []
    for pod in manifests.pods.values():
        assert all(variable["valueFrom"]["secretKeyRef"] for variable in module_container(pod)["env"])


@pytest.mark.parametrize("probe", ["startup", "liveness", "readiness"])
def test_every_module_is_probed_on_its_health_port(manifests: Manifests, probe: str) -> None:
    path = {"startup": "/health/startup", "liveness": "/health/live", "readiness": "/health/ready"}[probe]
    for name in manifests.deployments:
        container = module_container(manifests.pods[name])
        assert {"name": "health", "containerPort": DEFAULT_HEALTH_PORT}.items() <= container["ports"][0].items()
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "health"}


def test_every_container_has_requests_and_limits(manifests: Manifests) -> None:
    for container in manifests.containers:
        for bound in ("requests", "limits"):
            assert container["resources"][bound].keys() == {"cpu", "memory"}


def test_no_container_has_rights(manifests: Manifests) -> None:
    for container in manifests.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_pod_runs_as_root_or_knows_the_cluster(manifests: Manifests) -> None:
    for pod in manifests.pods.values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)


def test_every_image_is_pinned_to_a_version(manifests: Manifests) -> None:
    images = {container["image"] for container in manifests.containers}
    assert [image for image in images if not re.fullmatch(r"[a-z0-9./-]+:v?\d+(\.\d+)+(-\w+)?", image)] == []


def test_a_pod_may_take_longer_than_the_drain_timeout_to_stop(manifests: Manifests) -> None:
    drain_seconds = float(manifests.settings["DE_PLATFORM_DRAIN_TIMEOUT_SECONDS"])
    for name in manifests.deployments:
        pod = manifests.pods[name]
        wait = module_container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] > drain_seconds + wait


def test_every_deployment_has_a_disruption_budget(manifests: Manifests) -> None:
    budgets = manifests.of_kind("PodDisruptionBudget").values()
    selected = {budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for budget in budgets}
    assert selected == manifests.deployments.keys()


def test_consumers_scale_on_the_lag_of_their_own_group(manifests: Manifests) -> None:
    triggers = {name: o["spec"]["triggers"][0] for name, o in manifests.of_kind("ScaledObject").items()}
    assert {name: trigger["metadata"]["consumerGroup"] for name, trigger in triggers.items()} == GROUPS
    assert {trigger["type"] for trigger in triggers.values()} == {"kafka"}


def test_no_consumer_scales_beyond_its_partitions(manifests: Manifests) -> None:
    highest = {name: o["spec"]["maxReplicaCount"] for name, o in manifests.of_kind("ScaledObject").items()}
    assert set(highest.values()) == {PARTITIONS[manifests.overlay]}


def test_what_is_scaled_has_no_fixed_number_of_replicas(manifests: Manifests) -> None:
    scaled = {
        scaler["spec"]["scaleTargetRef"]["name"]
        for kind in ("ScaledObject", "HorizontalPodAutoscaler")
        for scaler in manifests.of_kind(kind).values()
    }
    fixed = {name for name, deployment in manifests.deployments.items() if "replicas" in deployment["spec"]}
    assert (scaled & fixed, scaled | fixed) == (set(), manifests.deployments.keys())


def test_all_traffic_is_denied_that_is_not_listed(manifests: Manifests) -> None:
    deny = manifests.of_kind("NetworkPolicy")["deny-all"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_what_modules_need_comes_before_them(manifests: Manifests) -> None:
    early = {
        r["kind"] for r in manifests.resources if r["metadata"].get("labels", {}).get("de-platform/step") == "prepare"
    }
    assert early == {"Namespace", "ServiceAccount", "ConfigMap", "NetworkPolicy", "Job"}


def test_the_large_overlay_makes_every_topic_with_its_partitions() -> None:
    (container,) = Manifests("large").pods["migrate"]["initContainers"]
    made = {variable["name"]: variable["value"] for variable in container["env"]}
    assert sorted(made["TOPICS"].split()) == sorted(topic.name for topic in TOPICS)
    assert int(made["PARTITIONS"]) == PARTITIONS["large"]
