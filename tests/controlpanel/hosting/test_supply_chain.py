"""What the panel is made of: each package with its hashes and a license that may be used, and the files of hosts."""

import configparser
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from tests.hosted.image import context, is_sent, steps

ROOT = settings.BASE_DIR
EXAMPLES = ROOT / "docs" / "examples"
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[\w,]+\])?==([^\s;]+)(.*)$")


def pinned(name: str) -> dict[str, tuple[str, int, bool]]:
    """Of each package: its version, how many hashes it has, and whether some platforms do without it."""
    found: dict[str, tuple[str, int, bool]] = {}
    for block in (ROOT / name).read_text().replace("\\\n", " ").splitlines():
        if match := PINNED.match(block):
            package = re.sub(r"[-_.]+", "-", match[1]).lower()
            found[package] = match[2], block.count("--hash=sha256:"), ";" in match[3].split("--hash")[0]
    return found


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "supply_chain/requirements"])
def test_what_is_named_is_pinned_and_everything_has_hashes(name):
    named = pinned(f"{name}.in")
    locked = pinned(f"{name}.txt")
    assert named and {package: version for package, (version, *_) in locked.items() if package in named} == {
        package: version for package, (version, *_) in named.items()
    }
    assert [package for package, (_, hashes, _) in locked.items() if not hashes] == []


def test_the_tests_run_with_the_versions_that_are_hosted():
    developed = pinned("requirements-dev.txt")
    assert {package: developed.get(package) for package in pinned("requirements.txt")} == pinned("requirements.txt")


def test_the_list_of_licenses_is_that_of_the_packages():
    rows = re.findall(r"^\| (\S+) +\| ([\w.]+)", (ROOT / "supply_chain" / "licenses.md").read_text(), re.M)
    listed = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in rows if name != "Name"}
    everywhere = {name: version for name, (version, _, some) in pinned("requirements.txt").items() if not some}
    assert {name: listed.get(name) for name in everywhere if name != "huey"} == {
        name: version for name, version in everywhere.items() if name != "huey"
    }
    assert "huey" in listed
    assert {name: facts["version"] for name, facts in bundled().items()}.items() <= dict(rows).items()


def bundled() -> dict[str, dict[str, str]]:
    """What npm's lock says of each package that pages have scripts of."""
    locked = json.loads((ROOT / "controlpanel" / "from_npm" / "package-lock.json").read_text())["packages"]
    facts = {place.removeprefix("node_modules/"): facts for place, facts in locked.items() if not facts.get("dev")}
    return {name: of for name, of in facts.items() if name}


def test_the_scripts_of_pages_are_of_the_versions_that_are_pinned_with_hashes():
    named = json.loads((ROOT / "controlpanel" / "from_npm" / "package.json").read_text())["dependencies"]
    assert named.items() <= {name: facts["version"] for name, facts in bundled().items()}.items()
    assert [name for name, facts in bundled().items() if not facts["integrity"].startswith("sha512-")] == []
    assets = ROOT / "controlpanel" / "assets"
    assert f"(v{named['uplot']})" in (assets / "uplot" / "uplot.js").read_text()
    assert {folder.name for folder in assets.iterdir() if folder.is_dir()} == {"codemirror", "uplot"}


def test_the_list_for_a_release_has_the_scripts_of_pages(tmp_path):
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"components": [{"name": "django"}]}')
    command = [sys.executable, ROOT / "supply_chain" / "bundled.py", str(sbom)]
    subprocess.run(command, check=True, capture_output=True)
    components = {part["name"]: part for part in json.loads(sbom.read_text())["components"]}
    assert set(components) == {"django", *bundled()}
    assert components["uplot"]["purl"] == f"pkg:npm/uplot@{bundled()['uplot']['version']}"


def test_the_project_has_a_license():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package["license"] == "MIT"


def test_the_image_has_the_code_and_neither_tests_nor_data_nor_keys():
    folders = {path.parts[0] for path in context()}
    packages = {app.split(".")[0] for app in settings.INSTALLED_APPS if (ROOT / app.split(".")[0]).is_dir()}
    assert packages <= folders
    assert [text for _, text in steps() if "pip install" in text and "--require-hashes" not in text] == []
    # Also what git does not know.
    left_out = ("tests", "var", ".git", ".env", ".venv", ".venv-supply", "benchmarks", "docs", "panel.sqlite3")
    assert [name for name in left_out if is_sent(Path(name, "file"))] == []
    strays = (".env", ".env.production", "panel.sqlite3", "panel.sqlite3-wal", "server.key", "certificate.pem")
    assert [name for name in strays if is_sent(Path("accounts", name)) or is_sent(Path("bots", "admin", name))] == []


def test_the_image_runs_as_nobody_and_is_watched():
    instructions = dict(steps())
    assert int(instructions["USER"]) > 0
    assert "/healthz" in instructions["HEALTHCHECK"]
    assert "--require-hashes" in next(text for name, text in steps() if name == "RUN")


def test_compose_starts_web_and_worker_after_the_release_on_a_file_system_that_is_read_only():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("release", "web", "worker"):
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"], name
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["release"] == {"condition": "service_completed_successfully"}
    commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert services["release"]["command"] == commands["release"]
    assert services["worker"]["command"] == commands["worker"]
    # The proxy in front is the only one that reaches it.
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_hosts_files_name_what_the_panel_reads():
    example = (ROOT / ".env.example").read_text()
    app = json.loads((ROOT / "app.json").read_text())
    assert all(f"\n{name}=" in example for name in app["env"])
    assert {name for name, value in app["env"].items() if value.get("generator") == "secret"} == {
        "SECRET_KEY",
        "FERNET_KEYS",
    }
    railway = json.loads((ROOT / "railway.json").read_text())["deploy"]
    commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert railway["preDeployCommand"] == [commands["release"]]
    assert railway["healthcheckPath"] == "/healthz"
    worker = json.loads((ROOT / "railway.worker.json").read_text())["deploy"]
    assert worker["startCommand"] == commands["worker"]
    # Nothing answers there, and one release migrates.
    assert not {"healthcheckPath", "preDeployCommand"} & set(worker)


@pytest.mark.parametrize("name", ["panel-web@.service", "panel-worker.service"])
def test_a_unit_of_systemd_starts_what_the_procfile_starts_and_may_write_little(name, tmp_path):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(EXAMPLES / "systemd" / name)
    service = unit["Service"]
    kind = "web" if "web" in name else "worker"
    command = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith(f"{kind}:"))
    assert service["ExecStart"].removeprefix("/opt/panel/.venv/bin/") in command
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["User"]) == ("strict", "true", "panel")
    if not shutil.which("systemd-analyze"):
        return
    # There is no such program on this machine: another one stands for it.
    text = (EXAMPLES / "systemd" / name).read_text().replace("User=panel", "User=root")
    text = re.sub(r"/opt/panel/.venv/bin/\w+", shutil.which("true") or "", text).replace("/opt/panel", "/tmp")  # noqa: S108
    path = tmp_path / name.replace("@", "@8000")
    path.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and path.name not in checked.stderr, checked.stderr


def test_updates_are_proposed_for_every_folder_with_packages():
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    watched = {
        (part["package-ecosystem"], folder)
        for part in config["updates"]
        for folder in part.get("directories", [part.get("directory")])
    }
    kinds = {
        "*requirements*.txt": "pip",
        "*package-lock.json": "npm",
        "*Dockerfile": "docker",
        "*compose.yaml": "docker-compose",
    }
    there = {("github-actions", "/")}
    for files, kind in kinds.items():
        listed = subprocess.run(["git", "ls-files", files], cwd=ROOT, capture_output=True, text=True, check=True)
        there |= {(kind, f"/{path.rpartition('/')[0]}") for path in listed.stdout.split()}
    assert watched == there


@pytest.mark.parametrize("name", ["ci.yml", "codeql.yml"])
def test_a_workflow_may_do_no_more_than_it_has_to(name):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    assert workflow["permissions"] == {"contents": "read"}
