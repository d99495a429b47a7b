"""Compose files, image, Makefile and lock, held against the code and against each other."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pytest
import yaml

from headrace.api.main import create_app
from headrace.config import Settings
from support.project import ROOT, SETTINGS, headrace_calls, is_command, make_targets, read, tool

Service = dict[str, object]

STACKS = ("dev", "prod")
OURS = frozenset({"migrate", "api", "worker"})
PUBLISHED = {
    "dev": {
        "api": "127.0.0.1:3000:3000",
        "postgres": "127.0.0.1:5432:5432",
        "redis": "127.0.0.1:6380:6379",
        "redis-commander": "127.0.0.1:8081:8081",
        "rq-dashboard": "127.0.0.1:9181:9181",
    },
    "prod": {
        "api": "${PUBLISH_ADDRESS:-127.0.0.1}:3000:3000",
        "rq-dashboard": "${PUBLISH_ADDRESS:-127.0.0.1}:9181:9181",
    },
}


def services(stack: str) -> dict[str, Service]:
    return cast(dict[str, Service], yaml.safe_load(read(f"docker-compose.{stack}.yml"))["services"])


def environment(service: Service) -> dict[str, str]:
    return cast(dict[str, str], service.get("environment", {}))


def health(service: Service) -> list[str]:
    check = cast(dict[str, list[str]], service.get("healthcheck", {}))
    return check.get("test", [])


def variables(stack: str) -> dict[str, str]:
    """What compose takes from .env: each name with what follows it, as `:-64` or `:?why`."""
    return dict(re.findall(r"\$\{(\w+)(:[-?][^}]*)?\}", read(f"docker-compose.{stack}.yml")))


each_stack = pytest.mark.parametrize("stack", STACKS)


@each_stack
def test_our_services_get_settings_that_exist(stack: str) -> None:
    found = services(stack)
    assert found.keys() >= OURS
    for name in OURS:
        unknown = environment(found[name]).keys() - SETTINGS - {"PYTHONPATH"}
        assert not unknown, f"{name} gets {unknown}"
        values = {key: value for key, value in environment(found[name]).items() if "${" not in value}
        Settings.model_validate({key: value for key, value in values.items() if key in SETTINGS})


@each_stack
def test_our_services_run_commands_that_exist(stack: str) -> None:
    for name in OURS:
        command = cast(list[str], services(stack)[name]["command"])
        assert is_command([word for word in command if not word.startswith("-")]), command


@each_stack
def test_what_is_published_is_on_loopback(stack: str) -> None:
    published = {name: one["ports"] for name, one in services(stack).items() if "ports" in one}
    assert published == {name: [port] for name, port in PUBLISHED[stack].items()}


@each_stack
def test_the_api_listens_where_it_is_published_and_where_nodes_call_it(stack: str) -> None:
    api, worker = (environment(services(stack)[name]) for name in ("api", "worker"))
    assert (api["HOST"], api["PORT"]) == ("0.0.0.0", "3000")
    assert (worker["API_HOST"], worker["API_PORT"]) == ("api", api["PORT"])


@each_stack
def test_workers_can_be_many_and_have_time_to_stop(stack: str) -> None:
    worker = services(stack)["worker"]
    assert not worker.keys() & {"container_name", "ports", "hostname"}
    default = Settings.model_fields["grace_seconds"].default
    grace = float(environment(worker).get("HEADRACE_GRACE_SECONDS", default))
    assert float(str(worker["stop_grace_period"]).removesuffix("s")) > grace


@each_stack
def test_everything_starts_after_the_migration(stack: str) -> None:
    found = services(stack)
    assert found["migrate"]["restart"] == "no"
    for name in ("api", "worker", "rq-dashboard"):
        needs = cast(dict[str, dict[str, str]], found[name]["depends_on"])
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["redis"]["condition"] == "service_healthy"


@each_stack
def test_health_checks_ask_what_exists(stack: str) -> None:
    found = services(stack)
    for program in (check[3] for check in map(health, found.values()) if check[1:2] == ["python"]):
        ast.parse(program)
    (url,) = re.findall(r"http://127\.0\.0\.1:3000(/\w+)", health(found["api"])[3])
    addresses = {"DATABASE_URL": "postgresql://here/one", "REDIS_URL": "redis://here"}
    assert url in create_app(Settings.model_validate(addresses)).openapi()["paths"]
    assert health(found["worker"])[:2] == ["CMD", "headrace"]
    assert is_command(health(found["worker"])[2:])


def test_the_dashboard_serves_what_the_code_has() -> None:
    (factory,) = re.findall(
        r"(headrace[\w.]+):dashboard\(", str(services("dev")["rq-dashboard"]["entrypoint"])
    )
    assert find_spec(factory)
    (program,) = cast(list[str], services("prod")["rq-dashboard"]["command"])
    imports = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ImportFrom)]
    for module, name in ((str(node.module), one.name) for node in imports for one in node.names):
        assert hasattr(import_module(module), name), f"{module}.{name}"


def test_production_watches_and_restarts_each_service() -> None:
    for name, service in services("prod").items():
        if name != "migrate":
            assert health(service), name
            assert service["restart"] == "unless-stopped", name


def test_production_has_no_default_secret() -> None:
    found = variables("prod")
    secret = {name for name in found if re.search("PASSWORD|KEY|SECRET|TOKEN", name)}
    assert secret == {
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
        "HEADRACE_API_KEYS",
        "HEADRACE_SECRET_KEY",
        "RQ_DASHBOARD_PASSWORD",
    }
    assert all(found[name].startswith(":?") for name in secret)
    assert "HEADRACE_OPEN" not in environment(services("prod")["api"])


def test_the_example_of_env_names_what_compose_takes() -> None:
    named = dict(re.findall(r"^(#?\w+)=(.*)$", read(".env.example"), re.MULTILINE))
    taken = variables("prod") | variables("dev")
    assert {name.lstrip("#") for name in named} <= taken.keys()
    required = {name for name, rest in taken.items() if rest.startswith(":?")}
    assert {name for name, value in named.items() if not name.startswith("#")} == required
    assert not any(named[name] for name in required)


def test_development_mounts_sources_that_exist() -> None:
    for name in OURS:
        for mount in cast(list[str], services("dev")[name]["volumes"]):
            source, target, mode = mount.split(":")
            assert (ROOT / source).is_dir()
            assert (target, mode) == (f"/src/{Path(source).name}", "ro")
    assert environment(services("dev")["api"])["PYTHONPATH"] == "/src/app:/src/worker"


def test_images_are_named_without_a_host() -> None:
    named = re.findall(r"^FROM (\S+)", read("Dockerfile"), re.MULTILINE)
    named += [str(one["image"]) for stack in STACKS for one in services(stack).values()]
    for image in named:
        assert ":" in image
        first = image.split("/")[0]
        assert "/" not in image or not set(".:") & set(first), image


def test_the_image_copies_what_its_context_has() -> None:
    allowed = set(re.findall(r"^!(\S+)$", read(".dockerignore"), re.MULTILINE))
    lines = re.findall(r"^COPY ((?!--from)[^\n]+) \S+$", read("Dockerfile"), re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_as_nobody_special() -> None:
    final = read("Dockerfile").split("\nFROM ")[-1]
    assert re.search(r"^USER headrace$", final, re.MULTILINE)
    assert 'ENTRYPOINT ["headrace"]' in final
    (command,) = re.findall(r"^CMD (\[.+\])$", final, re.MULTILINE)
    assert is_command(ast.literal_eval(command))
    assert "embedded" not in read("Dockerfile")


def test_make_explains_every_target() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)
    assert set(phony.split()) == make_targets().keys()
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1] for line in shown.splitlines()} == make_targets().keys()


@pytest.mark.parametrize("target", sorted(make_targets()))
def test_make_would_run_what_exists(target: str) -> None:
    dry = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for words in headrace_calls(dry):
        assert is_command([word for word in words if not word.isdigit()]), words
    for name in re.findall(r"(?:tools/\w+\.py|docker-compose\.\w+\.yml|requirements\.\w+)", dry):
        assert (ROOT / name).is_file()


def test_the_lock_has_a_hash_for_each_package_and_no_address() -> None:
    lock = read("requirements.lock")
    assert "://" not in lock
    assert "--index" not in lock
    entries = re.findall(
        r"^(\S+)==\S+((?: [^\n]*)?\\\n(?:    --hash=sha256:[0-9a-f]{64}[ \\]*\n)+)", lock, re.MULTILINE
    )
    assert len(entries) == len(re.findall(r"^\w", lock, re.MULTILINE))
    locked = {name.split("[")[0].lower() for name, _ in entries}
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    wanted = {re.split(r"[\[<>=; ]", one)[0].lower() for one in [*project["dependencies"], *extras]}
    assert wanted - {"headrace"} <= locked


def test_set_up_begins_anew_when_the_lock_changes_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = tool("setup")
    for name in ("requirements.lock", "pyproject.toml", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    places = {"ROOT": "", "VENV": ".venv", "PYTHON": ".venv/bin/python", "LOCK": "requirements.lock"}
    for name, path in places.items():
        monkeypatch.setattr(setup, name, tmp_path / path)
    monkeypatch.setattr(setup, "STAMP", tmp_path / "stamp")
    installed: list[list[str]] = []
    monkeypatch.setattr(setup, "environment", lambda: ["pip"])
    monkeypatch.setattr(setup, "add_redis", installed.append)
    monkeypatch.setattr(setup, "run", installed.append)
    setup.main()
    setup.main()
    assert [call[:2] for call in installed] == [["pip", "install"], ["pip", "install"], ["pip"]]
    assert installed[0][2:] == ["--require-hashes", "-r", str(tmp_path / "requirements.lock")]
    (tmp_path / "requirements.lock").write_text("another")
    setup.main()
    assert len(installed) == 6
