"""The Vercel AI SDK's Responses client at a provider that speaks Messages alone.

E2E_NODE is the folder where its packages are installed beside `ask.mjs`; `cargo xtask e2e` makes it.
"""

import json
import os
import subprocess

import pytest
from servers import Setting

MODEL = "simulated-model"
QUESTION = "Where does the moon go?"
PATIENCE_SECONDS = 60


@pytest.fixture
def setting(translating_gateways, simulator):
    return Setting(translating_gateways["messages"].url, simulator)


def ask(setting, script, streamed):
    wanted = {
        "url": setting.url, "model": MODEL, "headers": setting.headers(script), "prompt": QUESTION, "streamed": streamed,
    }  # fmt: skip
    done = subprocess.run(
        ["node", "ask.mjs"],
        cwd=os.environ["E2E_NODE"],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])


@WAYS
def test_tool_loop_of_three_turns_with_thinking(setting, streamed):
    told = ask(setting, "agent=2,tools=1,reasoning=4,cached=40", streamed)
    assert told["error"] is None, told
    entries = setting.entries(3)
    assert len(entries) == len(told["steps"]) == 3
    for turn, (step, entry) in enumerate(zip(told["steps"], entries)):
        assert (entry["path"], entry["stream"], entry["outcome"]) == ("/v1/messages", streamed, "completed")
        assert (step["text"], step["reasoning"]) == (entry["text"], entry["reasoning"]) and entry["reasoning"]
        assert len(step["calls"]) == entry["tool_calls"] == (1 if turn < 2 else 0)
        assert step["reason"] == ("tool-calls" if turn < 2 else "stop")
        assert step["results"] == [f"rain in {call['input']['city']}" for call in step["calls"]]
        usage = entry["usage"]
        cached = usage.get("cache_read", 0)
        whole = usage["input"] + cached + usage.get("cache_write_5m", 0) + usage.get("cache_write_1h", 0)
        assert (step["input"], step["cached"], step["output"]) == (whole, cached, usage["output"])
        assert step["warnings"] == []
    assert len(told["asked"]) == 2 and (told["pieces"] > 3) == streamed


@WAYS
@pytest.mark.parametrize("status", [400, 429, 500])
def test_error_has_its_status(setting, streamed, status):
    error = ask(setting, f"error={status}", streamed)["error"]
    assert (error["name"], error["status"]) == ("AI_APICallError", status) and error["message"]


def test_stream_that_breaks_is_no_normal_end(setting):
    told = ask(setting, "text=30,error_event=12", True)
    assert told["error"] is not None and told["pieces"] > 0, "what came before was delivered"
