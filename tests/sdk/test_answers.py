"""Answers, plain and streamed: each is what the provider says it sent."""

import asyncio

import pytest
from servers import Setting
from dialects import TOOLS, Stream, ask, helper_stream, stream


def agrees(said, entry):
    """The SDK and the provider's own account tell the same."""
    told = entry["usage"]
    whole_input = sum(told.get(name, 0) for name in ("input", "cache_read", "cache_write_5m", "cache_write_1h"))
    assert said.text == entry["text"]
    assert said.reasoning == entry["reasoning"]
    assert len(said.calls) == entry["tool_calls"]
    # A provider may leave out a class that is nothing.
    cached, reasoning = told.get("cache_read", 0), told.get("reasoning", 0)
    assert said.usage == (whole_input, cached, told["output"], reasoning)
    assert entry["outcome"] == "completed"


SCRIPTS = {
    "text": "text=20",
    "reasoning": "reasoning=9,text=5",
    "length": "length,text=7",
    "cache": "cached=5000,cache_write=300",
    "compressed": "gzip",
    "closed": "close",
    "one_write": "one_write",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_plain_answer(dialect, setting, script):
    said = dialect.read(ask(dialect, setting, script))
    agrees(said, setting.entry())
    assert said.text and said.id
    assert said.stop == ("length" if "length" in script else "end")
    assert bool(said.reasoning) == ("reasoning" in script)
    assert said.usage[1] == (5000 if "cached" in script else 0)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_streamed_answer_is_the_helpers_answer(dialect, setting, script):
    said = dialect.read(helper_stream(dialect, setting, script))
    agrees(said, setting.entry())
    collected = stream(dialect, setting, script)
    assert (collected.text, collected.reasoning) == (said.text, said.reasoning)
    assert sum(dialect.is_end(event) for event in collected.events) == 1


def test_first_text_arrives_before_the_last_is_sent(dialect, setting):
    collected = stream(dialect, setting, "text=8,delay=25")
    last_sent_at = setting.entry()["last_byte_at"] / 1e6
    assert collected.first_text_at < last_sent_at - 0.1


@pytest.mark.parametrize("calls", [1, 3], ids=["one", "parallel"])
@pytest.mark.parametrize("get", [ask, helper_stream], ids=["plain", "streamed"])
def test_tool_calls_and_their_results(dialect, setting, calls, get):
    answer = get(dialect, setting, f"tools={calls}", tools=True)
    said = dialect.read(answer)
    assert (said.stop, len(said.calls)) == ("tools", calls)
    for name, arguments in said.calls:
        assert name in TOOLS
        assert arguments.keys() == {"city", "unit"} and arguments["unit"] == "celsius"
    assert len({name for name, _ in said.calls}) == min(calls, len(TOOLS))
    after = dialect.read(get(dialect, setting, f"tools={calls}", tools=True, result_of=answer))
    assert (after.stop, after.calls) == ("end", []) and after.text
    for reply, entry in zip([said, after], setting.entries(2), strict=True):
        agrees(reply, entry)


def test_agent_of_four_turns(dialect, setting):
    answer, history = None, []
    for _ in range(4):
        arguments = dialect.arguments(tools=True, result_of=answer)
        key = "input" if "input" in arguments else "messages"
        history += arguments[key][bool(history):]
        answer = dialect.api(dialect.client(setting)).create(
            **{**arguments, key: history}, extra_headers=setting.headers("agent=3,reasoning=4")
        )
    entries = setting.entries(4)
    assert [entry["tool_calls"] for entry in entries] == [1, 1, 1, 0]
    agrees(dialect.read(answer), entries[-1])


def test_image(dialect, setting):
    said = dialect.read(ask(dialect, setting, "text", image=True))
    entry = setting.entry()
    agrees(said, entry)
    assert entry["body_bytes"] > 150


def test_asynchronous_client(dialect, setting):
    async def both():
        async with dialect.client(setting, asynchronous=True) as client:
            api, headers = dialect.api(client), setting.headers("reasoning=3,text=12")
            answer = await api.create(**dialect.arguments(), extra_headers=headers)
            collected = Stream()
            async for event in await api.create(**dialect.stream_arguments(), stream=True, extra_headers=headers):
                dialect.collect(collected, event)
            return dialect.read(answer), collected

    said, collected = asyncio.run(both())
    plain, streamed = setting.entries(2)
    agrees(said, plain)
    assert (collected.text, collected.reasoning) == (streamed["text"], streamed["reasoning"])


def test_same_answer_with_and_without_the_gateway(dialect, simulator, request):
    if request.config.getoption("--route") == "direct":
        pytest.skip("asked for without the gateway")
    direct = Setting(simulator.url, simulator)
    through = Setting(request.getfixturevalue("gateway").url, simulator, direct.test_id)
    scripts = [*SCRIPTS.values(), "tools=2,reasoning=3"]
    for script in scripts:
        for get in (ask, helper_stream):
            answers = [get(dialect, setting, script, tools="tools" in script) for setting in (direct, through)]
            assert answers[0].model_dump() == answers[1].model_dump()
    ours, theirs = direct.entries(4 * len(scripts))[:2]
    assert (ours["path"], ours["body_digest"]) == (theirs["path"], theirs["body_digest"])
