"""What is no generation, and what only one dialect has."""

import base64
import struct

import pytest
from dialects import MODEL, QUESTION, Messages, Responses, ask, helper_stream


@pytest.fixture
def openai_client(setting):
    with Responses().client(setting) as client:
        yield client


@pytest.fixture
def anthropic_client(setting):
    with Messages().client(setting) as client:
        yield client


def test_models_of_both_vendors(openai_client, anthropic_client, setting):
    openai_models = list(openai_client.models.list(extra_headers=setting.headers("")))
    anthropic_models = list(anthropic_client.models.list(extra_headers=setting.headers("")))
    assert [model.object for model in openai_models] == ["model"] * len(openai_models)
    assert [model.type for model in anthropic_models] == ["model"] * len(anthropic_models)
    assert {model.id for model in openai_models} == {model.id for model in anthropic_models} != set()
    assert openai_client.models.retrieve("gpt-sim", extra_headers=setting.headers("")).id == "gpt-sim"
    assert anthropic_client.models.retrieve("claude-sim", extra_headers=setting.headers("")).id == "claude-sim"
    assert len(setting.entries(4)) == 4


def test_count_tokens(anthropic_client, setting):
    counted = anthropic_client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], extra_headers=setting.headers("")
    )
    assert counted.input_tokens == -(-setting.entry()["body_bytes"] // 4)


def test_embeddings_in_both_encodings(openai_client, setting):
    def embed(**extra):
        return openai_client.embeddings.create(
            model=MODEL, input=["a", "b"], dimensions=8, extra_headers=setting.headers(""), **extra
        )

    # Without a wish the SDK asks for Base64 and decodes it.
    decoded, numbers, coded = embed(), embed(encoding_format="float"), embed(encoding_format="base64")
    assert [len(item.embedding) for item in decoded.data + numbers.data] == [8, 8, 8, 8]
    raw = base64.b64decode(coded.data[0].embedding)
    assert struct.unpack("<8f", raw) == tuple(decoded.data[0].embedding)


def test_legacy_completions(openai_client, setting):
    arguments = {"model": MODEL, "prompt": QUESTION, "extra_headers": setting.headers("text=6")}
    whole = openai_client.completions.create(**arguments)
    pieces = [chunk.choices[0].text for chunk in openai_client.completions.create(**arguments, stream=True)]
    plain, streamed = setting.entries(2)
    assert whole.choices[0].text == plain["text"]
    assert "".join(pieces) == streamed["text"]


@pytest.mark.parametrize("get", [ask, helper_stream], ids=["plain", "streamed"])
def test_items_of_responses(setting, get):
    answer = get(Responses(), setting, "reasoning=3,tools=2", tools=True)
    assert [item.type for item in answer.output] == ["reasoning", "function_call", "function_call"]
    assert len({item.id for item in answer.output}) == 3
    assert all(item.status == "completed" for item in answer.output[1:])
    message = get(Responses(), setting, "reasoning=3").output[1]
    assert (message.type, message.role, message.content[0].type) == ("message", "assistant", "output_text")


def test_events_of_responses_are_numbered(openai_client, setting):
    events = openai_client.responses.create(
        model=MODEL, input=QUESTION, stream=True, extra_headers=setting.headers("reasoning=2,text=4")
    )
    events = list(events)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_sealed_reasoning_of_responses(openai_client, setting, streamed):
    arguments = {"model": MODEL, "input": QUESTION, "include": ["reasoning.encrypted_content"]}
    headers = setting.headers("reasoning=3")
    if streamed:
        with openai_client.responses.stream(**arguments, extra_headers=headers) as events:
            answer = events.until_done().get_final_response()
    else:
        answer = openai_client.responses.create(**arguments, extra_headers=headers)
    assert answer.output[0].encrypted_content


def test_thinking_is_signed(anthropic_client, setting):
    arguments = {"model": MODEL, "max_tokens": 2048, "messages": [{"role": "user", "content": QUESTION}]}
    with anthropic_client.messages.stream(**arguments, extra_headers=setting.headers("thinking=5")) as events:
        thinking, text = events.get_final_message().content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert thinking.signature and len(thinking.thinking.split()) == 5


def test_cache_figures_of_messages(anthropic_client, setting):
    arguments = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": QUESTION}]}
    headers = setting.headers("cached=700,cache_write=20")
    usage = anthropic_client.messages.create(**arguments, extra_headers=headers).usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (700, 20)
    assert usage.cache_creation.ephemeral_5m_input_tokens == 20
    assert usage.input_tokens == setting.entry()["usage"]["input"]


def test_raw_response_headers(openai_client, anthropic_client, setting):
    for client, name in [(openai_client, "x-request-id"), (anthropic_client, "request-id")]:
        headers = client.models.with_raw_response.list(extra_headers=setting.headers("")).headers
        assert headers[name] == setting.entries()[-1]["request_id"]
        assert headers["x-sim-request"] == str(setting.entries()[-1]["number"])
