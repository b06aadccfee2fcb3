"""Starts the simulated provider and the gateway before it; every test runs against both, with the same expectations."""

import json

import pytest

from dialects import DIALECTS
from servers import Server, Setting, binary, loopback_only, simulator, translating_gateways  # noqa: F401 (fixtures)


def pytest_addoption(parser):
    parser.addoption(
        "--route",
        choices=["direct", "gateway", "both"],
        default="both",
        help="direct: SDK -> simulated provider; gateway: SDK -> gateway -> simulated provider",
    )


def pytest_generate_tests(metafunc):
    if "route" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--route")
        metafunc.parametrize("route", ["direct", "gateway"] if chosen == "both" else [chosen])
    if "dialect" in metafunc.fixturenames and "pair" not in metafunc.fixturenames:
        metafunc.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


@pytest.fixture(scope="session")
def gateway(simulator, tmp_path_factory):
    home = tmp_path_factory.mktemp("gateway")
    config = {
        "providers": {
            "openai": {"base_url": f"{simulator.url}/v1"},
            "anthropic": {"base_url": simulator.url},
            "gemini": {"base_url": simulator.url},
        },
        # What the provider answers is to reach the SDK, whose own retries are under test.
        "retry": {"attempts": 1},
    }
    (home / "lunaroute.json").write_text(json.dumps(config))
    command = [binary(), "serve", "--config", home / "lunaroute.json", "--listen", "127.0.0.1:0"]
    server = Server(command, home / "stderr.log", {"LUNAROUTE_HOME": str(home)})
    yield server
    assert server.stop() == 0, server.log.read_text(errors="replace")


@pytest.fixture
def setting(route, simulator, request):
    # The gateway is started by the first test that goes through it, and not at all with `--route direct`.
    url = simulator.url if route == "direct" else request.getfixturevalue("gateway").url
    return Setting(url, simulator, route=route)
