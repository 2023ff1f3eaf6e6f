"""Each manifest for itself, on any machine: what they are together needs kubectl, see `test_kubernetes.py`."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from de_platform.config.setting_specs import spec_of
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS
from tests.deploy.consumer_groups import GROUPS
from tests.deploy.deployment_files import DEPLOY, KUBERNETES, ONLY_FOR_DEMOS, invocation, long_running_modules

K8S = DEPLOY / "k8s"
PATCHES = [
    K8S / "base" / "pod-defaults.yaml",
    K8S / "base" / "module-defaults.yaml",
    K8S / "overlays" / "large" / "topics.yaml",
]
KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))
MANIFESTS = [path for path in sorted(K8S.rglob("*.yaml")) if path not in (*PATCHES, *KUSTOMIZATIONS)]
MODULES = [path for path in MANIFESTS if path.parent.name == "modules"]
WITHOUT_SCHEMA = {"ScaledObject"}

Resource = dict[str, Any]


def by_stem(path: Path) -> str:
    return path.stem


def in_folder(path: Path) -> str:
    return path.parent.name


def documents(path: Path) -> list[Resource]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def only(path: Path, kind: str) -> Resource:
    (found,) = [document for document in documents(path) if document["kind"] == kind]
    return found


def container(workload: Resource) -> Resource:
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    return found


def completed(patch: Resource) -> Resource:
    """Return a patch of a workload with what it leaves to the workload itself."""
    spec = patch["spec"]
    pod = {"containers": [{"name": "module"}], "restartPolicy": "Never", **spec["template"]["spec"]}
    selector = {} if patch["kind"] == "Job" else {"selector": {}}
    return {**patch, "spec": {**selector, **spec, "template": {"spec": pod}}}


def group_there(path: Path) -> str:
    (trigger,) = only(path, "ScaledObject")["spec"]["triggers"]
    return trigger["metadata"]["consumerGroup"]


@pytest.mark.parametrize("path", MANIFESTS, ids=by_stem)
def test_a_manifest_fits_its_schema(path: Path) -> None:
    for document in documents(path):
        if document["kind"] not in WITHOUT_SCHEMA:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", PATCHES, ids=by_stem)
def test_a_patch_fits_the_schema_of_what_it_patches(path: Path) -> None:
    (patch,) = documents(path)
    kubernetes_validate.validate(completed(patch), KUBERNETES, strict=True)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=in_folder)
def test_a_kustomization_names_what_is_there(path: Path) -> None:
    (kustomization,) = documents(path)
    patches = [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
    settings = [file for config in kustomization.get("configMapGenerator", ()) for file in config["envs"]]
    named = [*kustomization["resources"], *patches, *settings]
    assert [name for name in named if not (path.parent / name).exists()] == []


def test_no_manifest_is_left_out() -> None:
    named = {
        (path.parent / name).resolve()
        for path in KUSTOMIZATIONS
        for entry in ("resources", "patches")
        for item in documents(path)[0].get(entry, ())
        if (name := item if isinstance(item, str) else item.get("path"))
    }
    assert [path for path in (*MANIFESTS, *PATCHES) if path.resolve() not in named] == []


def test_every_module_that_keeps_running_has_a_manifest() -> None:
    run = {invocation(container(only(path, "Deployment"))["args"]).module for path in MODULES}
    assert run == long_running_modules() - ONLY_FOR_DEMOS


@pytest.mark.parametrize("path", MODULES, ids=by_stem)
def test_a_module_can_be_moved_one_pod_at_a_time(path: Path) -> None:
    budget, deployment = only(path, "PodDisruptionBudget")["spec"], only(path, "Deployment")["spec"]
    assert (budget["maxUnavailable"], budget["selector"]) == (1, deployment["selector"])


@pytest.mark.parametrize("name", GROUPS)
def test_a_consumer_scales_on_the_lag_of_its_group_up_to_its_partitions(name: str) -> None:
    path = K8S / "base" / "modules" / f"{name}.yaml"
    assert group_there(path) == GROUPS[name]
    assert only(path, "ScaledObject")["spec"]["maxReplicaCount"] == DEFAULT_PARTITIONS


def test_no_manifest_holds_a_secret() -> None:
    assert [path for path in MANIFESTS for document in documents(path) if document["kind"] == "Secret"] == []


@pytest.mark.parametrize("path", sorted(K8S.rglob("platform.env")), ids=in_folder)
def test_settings_are_declared_and_not_secret(path: Path) -> None:
    names = [line.split("=")[0] for line in path.read_text(encoding="utf-8").splitlines() if line]
    specs = [spec_of(name) for name in names]
    assert specs
    assert [name for name, spec in zip(names, specs, strict=True) if spec is None or spec.is_secret] == []
