"""Gemini by Google's official SDK, whose calls look too different from the others' to share their interface."""

import asyncio

import httpx2
import pytest
from servers import Setting
from dialects import MODEL, PIXEL, QUESTION, SCHEMA, TOOLS
from google import genai
from google.genai import errors, types


def client_of(setting, script="", attempts=1):
    options = types.HttpOptions(
        base_url=setting.url,
        headers=setting.headers(script),
        timeout=20_000,
        retry_options=types.HttpRetryOptions(attempts=attempts, initial_delay=0.01, max_delay=0.05),
    )
    return genai.Client(api_key="sk-sdk-test", vertexai=False, http_options=options)


def config(tools=False):
    # A translating gateway shows thoughts to those who ask for them, as Google does.
    thinking = types.ThinkingConfig(include_thoughts=True)
    if not tools:
        return types.GenerateContentConfig(max_output_tokens=4096, thinking_config=thinking)
    declarations = [
        types.FunctionDeclaration(name=name, description=told, parameters_json_schema=SCHEMA)
        for name, told in TOOLS.items()
    ]
    return types.GenerateContentConfig(
        thinking_config=thinking,
        tools=[types.Tool(function_declarations=declarations)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def ask(setting, script, contents=QUESTION, tools=False, attempts=1):
    with client_of(setting, script, attempts) as client:
        return client.models.generate_content(model=MODEL, contents=contents, config=config(tools))


def stream(setting, script, into=None, contents=QUESTION, tools=False):
    chunks = [] if into is None else into
    with client_of(setting, script) as client:
        for chunk in client.models.generate_content_stream(model=MODEL, contents=contents, config=config(tools)):
            chunks.append(chunk)
    return chunks


def parts(answers):
    return [part for answer in answers for part in (answer.candidates[0].content or types.Content()).parts or []]


def agrees(answers, entry):
    """The SDK and the provider's own account tell the same."""
    told, figures = entry["usage"], answers[-1].usage_metadata
    said = parts(answers)
    assert "".join(part.text or "" for part in said if not part.thought) == entry["text"]
    assert "".join(part.text for part in said if part.thought) == entry["reasoning"]
    assert sum(part.function_call is not None for part in said) == entry["tool_calls"]
    cached, thoughts = told.get("cache_read", 0), told.get("reasoning", 0)
    whole_input = sum(told.get(name, 0) for name in ("input", "cache_read", "cache_write_5m", "cache_write_1h"))
    assert figures.prompt_token_count == whole_input
    assert (figures.cached_content_token_count or 0, figures.thoughts_token_count or 0) == (cached, thoughts)
    assert figures.candidates_token_count == told["output"] - thoughts
    assert entry["outcome"] == "completed"


SCRIPTS = {
    "text": ("text=20", "STOP"),
    "reasoning": ("reasoning=9,text=5", "STOP"),
    "length": ("length,text=7", "MAX_TOKENS"),
    "cache": ("cached=5000", "STOP"),
    "compressed": ("gzip", "STOP"),
    "closed": ("close", "STOP"),
}


@pytest.mark.parametrize(("script", "reason"), SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_answer(setting, script, reason, streamed):
    answers = stream(setting, script) if streamed else [ask(setting, script)]
    agrees(answers, setting.entry())
    assert [answer.candidates[0].finish_reason for answer in answers][-1] == reason
    assert len({answer.response_id for answer in answers}) == 1 and answers[0].model_version == MODEL
    assert (len(answers) > 3) == streamed


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_tool_loop_of_three_turns(setting, streamed):
    contents = [types.UserContent(QUESTION)]
    for turn in range(3):
        script = "agent=2,tools=2,reasoning=4"
        answers = stream(setting, script, contents=contents, tools=True) if streamed else [
            ask(setting, script, contents=contents, tools=True)
        ]
        agrees(answers, setting.entries(turn + 1)[-1])
        said = parts(answers)
        calls = [part.function_call for part in said if part.function_call]
        if turn == 2:
            assert not calls and any(part.text for part in said)
            break
        assert [call.name for call in calls] == list(TOOLS)
        assert all(call.args.keys() == {"city", "unit"} for call in calls)
        signed = [part for part in said if part.thought_signature]
        assert len(signed) == 1 and signed[0].function_call, "the first call carries the signature"
        contents.append(types.ModelContent([part for part in said if not part.thought]))
        contents.append(types.UserContent([
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "ok"}))
            for call in calls
        ]))


def test_image(setting):
    picture = types.Part.from_bytes(data=PIXEL.encode(), mime_type="image/png")
    agrees([ask(setting, "text", contents=[QUESTION, picture])], setting.entry())
    assert setting.entry()["body_bytes"] > 150


def test_asynchronous_client(setting):
    async def both():
        async with client_of(setting, "reasoning=3,text=12").aio as client:
            arguments = {"model": MODEL, "contents": QUESTION, "config": config()}
            answer = await client.models.generate_content(**arguments)
            chunks = [chunk async for chunk in await client.models.generate_content_stream(**arguments)]
            return answer, chunks

    answer, chunks = asyncio.run(both())
    plain, streamed = setting.entries(2)
    agrees([answer], plain)
    agrees(chunks, streamed)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("get", [ask, stream], ids=["plain", "streamed"])
def test_status_becomes_the_sdks_exception(setting, status, get):
    wait = ",retry_after_ms=7000" if status == 429 else ""
    with pytest.raises(errors.ClientError if status < 500 else errors.ServerError) as caught:
        get(setting, f"error={status}{wait}")
    assert (caught.value.code, setting.entry()["status"]) == (status, status)
    assert caught.value.status.isupper() and caught.value.message
    assert caught.value.response.headers.get("retry-after") == ("7" if wait else None)


def test_error_in_mid_stream(setting):
    before = []
    with pytest.raises(errors.ServerError) as caught:
        stream(setting, "error_event=6", into=before)
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")
    assert parts(before) and not before[-1].candidates[0].finish_reason
    assert setting.entry()["outcome"] == "error_event"


@pytest.mark.parametrize("reset", ["", ",reset"], ids=["closed", "reset"])
def test_cut_in_mid_stream_is_no_normal_end(setting, reset):
    before = []
    with pytest.raises((errors.APIError, errors.UnknownApiResponseError, httpx2.TransportError)) as caught:
        stream(setting, f"text=30,cut_events=9,delay=1{reset}", into=before)
    if "gateway" in setting.route:
        assert isinstance(caught.value, errors.ServerError), "the gateway tells it in the stream"
    assert parts(before) and not before[-1].candidates[0].finish_reason
    assert setting.entry()["outcome"] == "cut"


@pytest.mark.parametrize("status", [429, 503])
def test_sdk_retries_by_itself(setting, status):
    answer = ask(setting, f"error={status},fail_times=2,retry_after_ms=10", attempts=3)
    entries = setting.entries(3)
    assert [entry["status"] for entry in entries] == [status, status, 200]
    agrees([answer], entries[-1])


def test_refusal(setting):
    for answers in ([ask(setting, "refusal")], stream(setting, "refusal")):
        candidate = answers[-1].candidates[0]
        assert candidate.finish_reason == "SAFETY" and not candidate.content


def test_what_is_no_generation(setting):
    with client_of(setting) as client:
        models = list(client.models.list(config={"page_size": 50}))
        assert all(model.name.startswith("models/") for model in models) and models
        assert client.models.get(model="gpt-sim").name == "models/gpt-sim"
        counted = client.models.count_tokens(model=MODEL, contents=QUESTION)
        assert counted.total_tokens == -(-setting.entries(3)[-1]["body_bytes"] // 4)
        wish = types.EmbedContentConfig(output_dimensionality=8)
        embedded = client.models.embed_content(model=MODEL, contents=["a", "b"], config=wish)
        assert [len(embedding.values) for embedding in embedded.embeddings] == [8, 8]
    assert [entry["status"] for entry in setting.entries(4)] == [200] * 4


def test_same_answer_with_and_without_the_gateway(simulator, request):
    if request.config.getoption("--route") == "direct":
        pytest.skip("asked for without the gateway")
    direct = Setting(simulator.url, simulator)
    through = Setting(request.getfixturevalue("gateway").url, simulator, direct.test_id)
    for script in ("text=9", "tools=2,reasoning=3"):
        tools = "tools" in script
        for get in (ask, stream):
            answers = [get(setting, script, tools=tools) for setting in (direct, through)]
            shown = [[chunk.model_dump(exclude={"sdk_http_response"}) for chunk in chunks] if get is stream
                     else chunks.model_dump(exclude={"sdk_http_response"}) for chunks in answers]
            assert shown[0] == shown[1]
