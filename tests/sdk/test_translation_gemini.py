"""Google's SDK in front of providers of the other dialects: the same expectations as for a provider of its own."""

import pytest
from servers import Setting
from dialects import DIALECTS, MODEL, PIXEL, QUESTION, TOOLS
from google.genai import errors, types
from test_gemini import agrees, ask, client_of, parts, stream


@pytest.fixture(params=DIALECTS, ids=lambda provider: provider.name)
def provider(request):
    return request.param


@pytest.fixture
def setting(provider, translating_gateways, simulator):
    return Setting(translating_gateways[provider.name].url, simulator)


def get(setting, script, streamed, **wanted):
    return stream(setting, script, **wanted) if streamed else [ask(setting, script, **wanted)]


WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])


@WAYS
@pytest.mark.parametrize("script", ["text=20", "reasoning=9,text=5", "length,text=7", "cached=5000,cache_write=300"])
def test_answer(provider, setting, script, streamed):
    answers = get(setting, script, streamed)
    entry = setting.entry()
    assert (entry["path"], entry["stream"]) == (provider.path, streamed)
    agrees(answers, entry)
    assert answers[-1].candidates[0].finish_reason == ("MAX_TOKENS" if "length" in script else "STOP")
    assert len({answer.response_id for answer in answers}) == 1 and answers[0].model_version == MODEL
    assert (len(answers) > 3) == streamed


@WAYS
@pytest.mark.parametrize("keeps_thoughts", [True, False], ids=["all", "without-thoughts"])
def test_tool_loop_of_three_turns_with_thinking(provider, setting, streamed, keeps_thoughts):
    contents = [types.UserContent(QUESTION)]
    for turn in range(3):
        answers = get(setting, "agent=2,tools=2,reasoning=4", streamed, contents=contents, tools=True)
        agrees(answers, setting.entries(turn + 1)[-1])
        said = parts(answers)
        calls = [part.function_call for part in said if part.function_call]
        assert answers[-1].candidates[0].finish_reason == "STOP"
        if turn == 2:
            assert not calls and any(part.text for part in said if not part.thought)
            break
        assert [call.name for call in calls] == list(TOOLS)
        assert len({call.id for call in calls}) == len(calls)
        assert all(call.args.keys() == {"city", "unit"} for call in calls)
        # Chat has no signatures; those of the others ride on the first call.
        signed = [part.function_call for part in said if part.thought_signature]
        assert signed == ([] if provider.name == "chat" else calls[:1])
        contents.append(types.ModelContent([part for part in said if keeps_thoughts or not part.thought]))
        contents.append(types.UserContent([
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "ok"}))
            for call in calls
        ]))


@WAYS
def test_chat_that_calls_functions_by_itself(setting, streamed):
    asked = []

    def weather(city: str) -> str:
        """The weather of a city"""
        asked.append(city)
        return "rain"

    wanted = types.GenerateContentConfig(tools=[weather])
    with client_of(setting, "agent=2,reasoning=4") as client:
        chat = client.chats.create(model=MODEL, config=wanted)
        answers = list(chat.send_message_stream(QUESTION)) if streamed else [chat.send_message(QUESTION)]
        history = chat.get_history(curated=True)
    assert len(asked) == 2 and all(asked)
    told = [part.text or "" for content in history if content.role == "model" for part in content.parts]
    assert "".join(told) == setting.entries(3)[-1]["text"], "the turn is a part of the chat that goes on"
    entries = setting.entries(3)
    assert [entry["tool_calls"] for entry in entries] == [1, 1, 0]
    said = [part.text or "" for part in parts(answers) if not part.function_call and not part.function_response]
    assert "".join(said) == entries[-1]["text"], "thoughts are shown to nobody who does not ask"


@WAYS
@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_error_is_the_sdks_exception(setting, status, streamed):
    wait = ",retry_after_ms=7000" if status == 429 else ""
    with pytest.raises(errors.ClientError if status < 500 else errors.ServerError) as caught:
        get(setting, f"error={status}{wait}", streamed)
    error = caught.value
    assert error.code == status and error.status.isupper() and error.message
    assert error.response.headers["x-request-id"] == error.response.headers["x-lunaroute-request-id"]
    assert error.response.headers.get("retry-after") == ("7" if wait else None)
    assert setting.entry()["outcome"] == "error_status"


def test_overload_is_told_in_googles_own_status(provider, setting):
    with pytest.raises(errors.ServerError) as caught:
        ask(setting, f"error={529 if provider.name == 'messages' else 503}")
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("fault", ["error_event=6", "cut_events=9,delay=1"])
def test_stream_that_breaks_is_no_normal_end(setting, fault):
    before = []
    with pytest.raises(errors.APIError):
        stream(setting, f"text=30,{fault}", into=before)
    assert parts(before) and not before[-1].candidates[0].finish_reason


def test_picture_and_length(setting):
    picture = types.Part.from_bytes(data=PIXEL.encode(), mime_type="image/png")
    agrees([ask(setting, "text", contents=[QUESTION, picture])], setting.entry())
    with client_of(setting) as client:
        counted = client.models.count_tokens(model=MODEL, contents=QUESTION)
        assert 0 < counted.total_tokens < 100
        counted = client.models.count_tokens(model=MODEL, contents=[QUESTION, QUESTION * 50])
        assert counted.total_tokens > 200
    assert len(setting.entries()) == 1, "a length is estimated, and nobody asked"
