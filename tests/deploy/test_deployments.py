"""The deployments are valid, closed by default, and give each process only the secrets of its part.

No image was built and no cluster was asked: the programs that read these files check them.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build/deploy"
HELM = TOOLS / "bin/helm"
FOREIGN = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}  # their schemas are not Kubernetes' own

if os.environ.get("CI") and not HELM.exists():
    raise RuntimeError("CI must have run deploy/tools.py")
pytestmark = pytest.mark.skipif(not HELM.exists(), reason="run: make deploytools")


def tool(name: str, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TOOLS), **options.pop("env", {})}
    command = [TOOLS / "bin" / name, *words]
    if name == "kubernetes-validate":
        command = [sys.executable, *command]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def chart() -> list[dict[str, Any]]:
    said = tool("helm", "template", "easel", ROOT / "deploy/helm", "--set", "metrics.podMonitor=true").stdout
    return [document for document in yaml.safe_load_all(said) if document]


def pods(chart: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for document in chart
        if "template" in document["spec"]
    }


def test_helm_finds_no_fault() -> None:
    tool("helm", "lint", "--strict", ROOT / "deploy/helm")


def test_every_object_is_valid_for_kubernetes(chart: list[dict[str, Any]], tmp_path: Path) -> None:
    own = [document for document in chart if document["apiVersion"] not in FOREIGN]
    assert len(own) > 12
    path = tmp_path / "chart.yaml"
    path.write_text(yaml.safe_dump_all(own))
    tool("kubernetes-validate", "--strict", path)


def test_no_pod_is_root_writes_its_image_or_gains_rights(chart: list[dict[str, Any]]) -> None:
    for name, pod in pods(chart).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert "limits" in container["resources"], name


def test_the_customers_web_never_holds_the_platforms_or_the_owners_address(chart: list[dict[str, Any]]) -> None:
    held = {
        name: {source["secretRef"]["name"] for each in pod["containers"] for source in each.get("envFrom", ())}
        for name, pod in pods(chart).items()
    }
    assert held["easel-web"] == {"easel-common", "easel-app"}
    assert {name for name, secrets in held.items() if "easel-owner" in secrets} == {"easel-setup"}
    assert {name for name, secrets in held.items() if "easel-platform" in secrets} == set(held) - {
        "easel-web",
        "easel-screening",
    }
    assert held["easel-screening"] == set()


def test_every_variable_the_deployments_set_is_one_that_somebody_reads(chart: list[dict[str, Any]]) -> None:
    paths = [*(ROOT / "platform/easel").rglob("*.py"), *(ROOT / "moderation/screening").rglob("*.py")]
    sources = "\n".join(path.read_text() for path in paths)
    told = {entry["name"] for pod in pods(chart).values() for each in pod["containers"] for entry in each["env"]}
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())
    told |= {name for service in compose["services"].values() for name in service.get("environment", {})}
    easel = {name for name in told if name.startswith("EASEL_")}
    assert len(easel) > 15
    assert {name for name in easel if f'"{name}"' not in sources} == set()


def test_all_that_is_not_let_in_stays_out(chart: list[dict[str, Any]]) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in chart if each["kind"] == "NetworkPolicy"}
    assert "ingress" not in policies["easel-closed"]
    assert {port["port"] for port in policies["easel-web"]["ingress"][0]["ports"]} == {"http"}
    assert {port["port"] for port in policies["easel-metrics"]["ingress"][0]["ports"]} == {"metrics"}


def test_compose_is_valid_with_and_without_a_gpu(tmp_path: Path) -> None:
    example = (ROOT / "deploy/compose/easel.env.example").read_text()
    filled = tmp_path / "easel.env"
    filled.write_text("\n".join(line + "x" if line.endswith("=") else line for line in example.splitlines()))
    folder = ROOT / "deploy/compose"
    tool("docker-compose", "--env-file", filled, "config", "-q", cwd=folder)
    tool("docker-compose", "-f", "compose.yml", "-f", "gpu.yml", "--env-file", filled, "config", "-q", cwd=folder)


def test_compose_refuses_to_start_with_a_secret_left_out(tmp_path: Path) -> None:
    command = [TOOLS / "bin/docker-compose", "--env-file", "easel.env.example", "config", "-q"]
    ran = subprocess.run(command, cwd=ROOT / "deploy/compose", capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "required variable" in ran.stderr


def test_the_images_are_written_as_hadolint_likes_them() -> None:
    tool("hadolint", *(ROOT / "deploy/docker").glob("*.Dockerfile"))


def test_the_images_hold_every_folder_that_python_imports_and_the_web_no_torch() -> None:
    for kind in ("web", "worker", "screening"):
        text = (ROOT / f"deploy/docker/{kind}.Dockerfile").read_text()
        for package in ("platform", "tenants", "billing", "moderation", "generation"):
            assert f"COPY {package}/ {package}/" in text
    assert "worker.txt" not in (ROOT / "deploy/docker/web.Dockerfile").read_text()
    pinned = (ROOT / "requirements/web.txt").read_text() + (ROOT / "requirements/base.txt").read_text()
    assert not any(line.startswith(("torch", "diffusers", "transformers")) for line in pinned.splitlines())


def test_every_folder_that_an_image_copies_exists() -> None:
    for path in (ROOT / "deploy/docker").glob("*.Dockerfile"):
        for line in path.read_text().splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert (ROOT / source).exists(), f"{path.name}: {source}"
