"""The simulated provider, and gateways before it: processes that live as long as the tests.

LUNAROUTE_BIN is the gateway's binary (default: target/debug/lunaroute), which is the simulated provider's, too;
LUNAROUTE_SIM_BIN is another command for the provider, such as
`cargo run -p lunaroute-sim --example provider -- --listen 127.0.0.1:0`.
"""

import json
import os
import select
import shlex
import subprocess
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30
STOP_SECONDS = 20


class Server:
    """A process that prints `{"listening": URL}` as its first line."""

    def __init__(self, command, log, environment=None):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(environment or {})}
            )
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.process.kill()
            raise RuntimeError(f"{shlex.join(map(str, command))} did not start:\n{log.read_text(errors='replace')}")
        self.url = json.loads(line)["listening"]

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Simulator(Server):
    def entries(self, test_id, settled=1):
        """What the provider saw of a test, once all of it has ended."""
        url = f"{self.url}/sim/ledger?test_id={test_id}&settled={settled}"
        with urllib.request.urlopen(url, timeout=START_SECONDS) as response:
            entries = json.load(response)["entries"]
        assert len(entries) >= settled and all(entry["outcome"] for entry in entries), entries
        return entries


def binary():
    return os.environ.get("LUNAROUTE_BIN", str(ROOT / "target/debug/lunaroute"))


@pytest.fixture(scope="session")
def simulator(tmp_path_factory):
    command = shlex.split(os.environ.get("LUNAROUTE_SIM_BIN", f"{shlex.quote(binary())} simulate --listen 127.0.0.1:0"))
    server = Simulator(command, tmp_path_factory.mktemp("simulator") / "stderr.log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def translating_gateways(simulator, tmp_path_factory):
    """A gateway for each dialect, behind which every model is at a provider that speaks nothing else."""
    spoken = {
        "chat": ("openai", "openai_chat"),
        "responses": ("openai", "openai_responses"),
        "messages": ("anthropic", "anthropic"),
        "gemini": ("gemini", "gemini"),
    }
    servers = {}
    for name, (family, spoke) in spoken.items():
        home = tmp_path_factory.mktemp(f"gateway-{name}")
        only = {"dialect": family, "dialects": [spoke], "base_url": simulator.url}
        config = {
            "providers": {"only": only},
            "models": [{"model": "*", "provider": "only"}],
            "retry": {"attempts": 1},
        }
        (home / "lunaroute.json").write_text(json.dumps(config))
        command = [binary(), "serve", "--config", home / "lunaroute.json", "--listen", "127.0.0.1:0"]
        servers[name] = Server(command, home / "stderr.log", {"LUNAROUTE_HOME": str(home)})
    yield servers
    for server in servers.values():
        assert server.stop() == 0, server.log.read_text(errors="replace")


@dataclass
class Setting:
    """Where a test sends its requests, and how it finds them again at the provider."""

    url: str
    simulator: Simulator
    test_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    route: str = ""

    def headers(self, script):
        return {"x-sim-script": script, "x-test-id": self.test_id}

    def entries(self, settled=1):
        return self.simulator.entries(self.test_id, settled)

    def entry(self):
        (entry,) = self.entries()
        return entry


@pytest.fixture(scope="session", autouse=True)
def loopback_only():
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
