"""The sandbox compared with recordings of a real server: its OpenAPI document and its answers.

The recordings are next to the repository and no part of it; without them these tests are skipped.
"""

import json
from itertools import product
from pathlib import Path

import jsonschema
import pytest
import requests

from sandbox import Sandbox
from sandbox.catalog import SIMPLE_PMM

REFERENCE = Path(__file__).parents[3] / "shared/reference"
OPENAPI = REFERENCE / "hummingbot-api.openapi.json"
SAMPLES = REFERENCE / "hummingbot-api-samples.json"

needs_openapi = pytest.mark.skipif(not OPENAPI.exists(), reason="the server's OpenAPI document is not here")
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="the recorded answers are not here")


@pytest.fixture(scope="module")
def documented():
    return json.loads(OPENAPI.read_text())


@pytest.fixture(scope="module")
def sandbox():
    """A server with what the recorded one had: two accounts, a paper bot with a controller, archived bots."""
    with Sandbox(speed=1000).serve() as sandbox:
        world = sandbox.world
        world.accounts["client_sharp"] = {}
        world.controller_configs["paper_pmm"] = {
            "buy_spreads": [0.003],
            "connector_name": "binance_paper_trade",
            "controller_name": "pmm_v1",
            "controller_type": "generic",
            "id": "paper_pmm",
            "order_amount": 0.01,
            "order_refresh_time": 60,
            "sell_spreads": [0.003],
            "trading_pair": "BTC-USDT",
        }
        for name, path in (("old", "script"), ("paper-ctl", "controllers")):
            body = {"instance_name": name, "credentials_profile": "client_sharp", "headless": True}
            body |= {"controllers_config": ["paper_pmm"]} if path == "controllers" else {"script_config": "fl0.yml"}
            call(sandbox, "POST", f"/bot-orchestration/deploy-v2-{path}", json=body)
        old, paper = world.instances.values()
        old.remove(keeps_data=True)
        world.clock.advance(1200)
        assert paper.strategy == "running"
        yield sandbox


@pytest.fixture(scope="module")
def served(sandbox):
    return call(sandbox, "GET", "/openapi.json").json()


def call(sandbox, method, path, **options):
    return requests.request(method, sandbox.url + path, auth=("admin", "admin"), timeout=5, **options)


def operations(document):
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def resolved(schema, document):
    """The schema without references, and without what only describes it."""
    if isinstance(schema, list):
        return [resolved(part, document) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return resolved(document["components"]["schemas"][name], document)
    words = {"title", "description", "example", "examples"}
    return {
        key: resolved(part, document)
        for key, part in schema.items()
        if key not in words or isinstance(part, dict)  # a property may be called "title"
    }


def body_schema(operation, document):
    content = operation.get("requestBody", {}).get("content", {})
    return resolved(content.get("application/json", {}).get("schema"), document)


# --- the document ---


@needs_openapi
def test_every_route_is_documented(served, documented):
    assert operations(served).keys() <= operations(documented).keys()


@needs_openapi
def test_request_bodies_are_the_documented_ones(served, documented):
    real = operations(documented)
    for key, operation in operations(served).items():
        mine, theirs = body_schema(operation, served), body_schema(real[key], documented)
        assert (mine is None) == (theirs is None), key
        if theirs and "properties" in theirs:
            assert set(mine["properties"]) == set(theirs["properties"]), key
            assert set(mine.get("required", [])) == set(theirs.get("required", [])), key
            for name, field in theirs["properties"].items():
                assert mine["properties"][name].get("default") == field.get("default"), (key, name)


@needs_openapi
def test_parameters_are_documented_and_none_that_is_required_is_missing(served, documented):
    real = operations(documented)
    for key, operation in operations(served).items():
        theirs = {p["name"]: p for p in real[key].get("parameters", [])}
        mine = {p["name"]: p for p in operation.get("parameters", [])}
        assert mine.keys() <= theirs.keys(), key
        assert {n for n, p in mine.items() if p["required"]} == {n for n, p in theirs.items() if p["required"]}, key


@needs_openapi
def test_success_has_the_documented_status(served, documented):
    real = operations(documented)
    for key, operation in operations(served).items():
        assert set(operation["responses"]) - {"422"} == set(real[key]["responses"]) - {"422"}, key


@needs_openapi
@pytest.mark.parametrize(
    ("method", "path", "actual"),
    [
        ("get", "/accounts/", "/accounts/"),
        ("get", "/accounts/{account_name}/credentials", "/accounts/client_sharp/credentials"),
        ("get", "/connectors/", "/connectors/"),
        ("get", "/connectors/{connector_name}/config-map", "/connectors/okx/config-map"),
        ("get", "/scripts/", "/scripts/"),
        ("get", "/scripts/configs/", "/scripts/configs/"),
        ("get", "/scripts/{script_name}", "/scripts/simple_pmm"),
        ("get", "/scripts/{script_name}/config/template", "/scripts/simple_pmm/config/template"),
        ("get", "/controllers/", "/controllers/"),
        ("get", "/controllers/configs/", "/controllers/configs/"),
        ("get", "/controllers/configs/{config_name}", "/controllers/configs/paper_pmm"),
        ("get", "/controllers/{controller_type}/{controller_name}", "/controllers/generic/pmm_v1"),
        ("post", "/portfolio/state", "/portfolio/state"),
        ("post", "/portfolio/history", "/portfolio/history"),
        ("get", "/archived-bots/", "/archived-bots/"),
    ],
)
def test_answers_fit_the_documented_schema(sandbox, documented, method, path, actual):
    answer = call(sandbox, method, actual, json={} if method == "post" else None)
    operation = operations(documented)[method, path]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), resolved(schema, documented))


# --- the recorded answers ---

#: Answers whose values are the server's own or the moment's: only the shape is compared.
SHAPE_ONLY = {
    "/connectors/okx/config-map",
    "/scripts/",
    "/scripts/configs/",
    "/controllers/",
    "/controllers/configs/",
    "/bot-orchestration/status",
    "/bot-orchestration/mqtt",
    "/bot-orchestration/bot-runs",
    "/bot-orchestration/bot-runs/stats",
    "/bot-orchestration/controller-performance-latest",
    "/bot-orchestration/controller-performance-history",
    "/bot-orchestration/stop-and-archive-bot/ghost",
    "/docker/active-containers",
    "/docker/exited-containers",
    "/portfolio/state",
    "/portfolio/history",
    "/archived-bots/",
    "/system/resources",
}
#: What the recorded server could not do without a network, and the sandbox can.
OFFLINE = "Cannot connect to host"


def samples():
    if not SAMPLES.exists():
        return []
    answers = json.loads(SAMPLES.read_text())["answers"]
    return [answer for answer in answers if OFFLINE not in json.dumps(answer["body"])]


def shape(value):
    """The types in a JSON value; objects by their keys, lists by their first entry, numbers alike."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def fits(mine, recorded):
    """Return whether a shape is the recorded one, where an empty or an absent value proves nothing."""
    if "NoneType" in (mine, recorded) or [] in (mine, recorded) or {} in (mine, recorded):
        return True
    if isinstance(mine, dict) and isinstance(recorded, dict):
        if names_of_things(recorded):
            return all(fits(one, other) for one, other in product(mine.values(), recorded.values()))
        return mine.keys() == recorded.keys() and all(fits(mine[key], recorded[key]) for key in mine)
    if isinstance(mine, list) and isinstance(recorded, list):
        return fits(mine[0], recorded[0])
    return mine == recorded


def names_of_things(recorded):
    """Return whether the keys are names that users gave: of bots, accounts, controllers, kinds of run."""
    return any("-" in key or key in ("client_demo", "client_sharp", "script", "CREATED") for key in recorded)


@needs_samples
def test_the_recorded_answers_are_given_in_the_recorded_order(sandbox):
    sandbox.world.accounts.pop("client_demo", None)
    for sample in samples():
        request, path = sample["request"], sample["request"]["path"]
        path = path.replace("paper-ctl-20261122-110043", sandbox.world.live()[-1].name)
        answer = call(sandbox, request["method"], path, params=request.get("params"), json=request.get("json"))
        where = f"{request['method']} {path}"
        assert answer.status_code == sample["status"], where
        assert answer.headers["content-type"] == sample["content_type"], where
        body = answer.json() if sample["content_type"] == "application/json" else answer.text
        if path in SHAPE_ONLY or "[cut]" in json.dumps(sample["body"]):
            assert fits(shape(body), shape(sample["body"])), (where, body)
        else:
            assert body == sample["body"], where
    assert sandbox.world.scripts["simple_pmm"] == SIMPLE_PMM
