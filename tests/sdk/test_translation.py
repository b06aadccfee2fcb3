"""The SDK of one dialect in front of a provider of another: the same expectations as for a provider of its own."""

import pytest
from servers import Setting
from dialects import DIALECTS, MODEL, QUESTION, Chat, Stream, ask, helper_stream, stream
from test_answers import agrees

# Where a provider of each dialect is asked; Gemini's verb says whether for a stream.
PATHS = {dialect.name: dialect.path for dialect in DIALECTS} | {"gemini": f"/v1beta/models/{MODEL}:"}
PAIRS = [(client, provider) for client in DIALECTS for provider in PATHS if client.name != provider]


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0].name}-to-{pair[1]}")
def pair(request):
    return request.param


@pytest.fixture
def dialect(pair):
    return pair[0]


@pytest.fixture
def setting(pair, translating_gateways, simulator):
    return Setting(translating_gateways[pair[1]].url, simulator)


@pytest.mark.parametrize("get", [ask, helper_stream], ids=["plain", "streamed"])
@pytest.mark.parametrize("script", ["text=20", "reasoning=9,text=5", "length,text=7", "cached=5000,cache_write=300"])
def test_answer(pair, dialect, setting, script, get):
    said = dialect.read(get(dialect, setting, script))
    entry = setting.entry()
    verb = "streamGenerateContent?alt=sse" if get is helper_stream else "generateContent"
    assert entry["path"] == PATHS[pair[1]] + (verb if pair[1] == "gemini" else "")
    agrees(said, entry)
    assert said.stop == ("length" if "length" in script else "end")


@pytest.mark.parametrize("get", [ask, helper_stream], ids=["plain", "streamed"])
def test_tool_loop_of_three_turns_with_thinking(dialect, setting, get):
    history, answer = [], None
    for turn in range(3):
        arguments = dialect.arguments(tools=True, result_of=answer)
        key = "input" if "input" in arguments else "messages"
        history += arguments[key][bool(history) :]
        arguments[key] = history
        headers = setting.headers("agent=2,reasoning=4")
        if get is ask:
            answer = dialect.api(dialect.client(setting)).create(**arguments, extra_headers=headers)
        else:
            more = {"stream_options": {"include_usage": True}} if dialect.name == "chat" else {}
            with dialect.api(dialect.client(setting)).stream(**arguments, **more, extra_headers=headers) as events:
                last = None
                for last in events:
                    pass
                answer = dialect.final(events, last)
        said = dialect.read(answer)
        agrees(said, setting.entries(turn + 1)[-1])
        assert said.stop == ("tools" if turn < 2 else "end")
    assert [entry["tool_calls"] for entry in setting.entries(3)] == [1, 1, 0]


@pytest.mark.parametrize("get", [ask, stream], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("theirs", "name"),
    [(400, "BadRequestError"), (404, "NotFoundError"), (429, "RateLimitError"), (500, "InternalServerError")],
)
def test_error_is_the_sdks_exception(dialect, setting, theirs, name, get):
    wait = ",retry_after_ms=7000" if theirs == 429 else ""
    with pytest.raises(getattr(dialect.sdk, name)) as caught:
        get(dialect, setting, f"error={theirs}{wait}")
    error = caught.value
    assert error.request_id == error.response.headers["x-lunaroute-request-id"]
    assert error.response.headers.get("retry-after") == ("7" if wait else None)
    assert isinstance(error.body, dict) and error.body
    assert setting.entry()["outcome"] == "error_status"


def test_overload_is_told_in_the_clients_own_status(pair, dialect, setting):
    theirs = 529 if pair[1] == "messages" else 503
    with pytest.raises(dialect.sdk.InternalServerError) as caught:
        ask(dialect, setting, f"error={theirs}")
    assert caught.value.status_code == (529 if dialect.name == "messages" else 503)


@pytest.mark.parametrize("fault", ["error_event=6", "cut_events=9,delay=1"])
def test_stream_that_breaks_is_no_normal_end(dialect, setting, fault):
    before = Stream()
    try:
        stream(dialect, setting, f"text=30,{fault}", into=before)
    except dialect.broken:
        pass
    else:
        # Responses tells a failure in an event of its own, for which the SDK has no exception.
        assert dialect.name == "responses"
        assert before.events[-1].type in ("error", "response.failed")
    assert before.text, "what came before was delivered"
    assert not any(dialect.is_end(event) for event in before.events)


def test_picture(dialect, setting):
    said = dialect.read(ask(dialect, setting, "text", image=True))
    agrees(said, setting.entry())


@pytest.mark.parametrize("name", ["responses", "messages", "gemini"])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_legacy_completions(name, translating_gateways, simulator, streamed):
    setting = Setting(translating_gateways[name].url, simulator)
    api = Chat().client(setting).completions
    arguments = {"model": MODEL, "prompt": QUESTION, "max_tokens": 900, "extra_headers": setting.headers("text=9,cached=60")}
    if streamed:
        chunks = list(api.create(**arguments, stream=True, stream_options={"include_usage": True}))
        said = "".join(choice.text for chunk in chunks for choice in chunk.choices)
        reasons = {choice.finish_reason for chunk in chunks for choice in chunk.choices} - {None}
        usage = chunks[-1].usage
    else:
        answer = api.create(**arguments)
        said, reasons, usage = answer.choices[0].text, {answer.choices[0].finish_reason}, answer.usage
    entry = setting.entry()
    assert (said, reasons) == (entry["text"], {"stop"})
    assert usage.prompt_tokens_details.cached_tokens == 60
    assert (usage.prompt_tokens, usage.completion_tokens) == (entry["usage"]["input"] + 60, entry["usage"]["output"])
