"""Responses over WebSocket with the official SDK: the provider speaks the dialect, or another one."""

import openai
import pytest
from servers import Setting


@pytest.fixture(params=["responses", "chat", "messages"])
def setting(request, translating_gateways, simulator):
    return Setting(translating_gateways[request.param].url, simulator)


@pytest.fixture
def client(setting):
    with openai.OpenAI(api_key="sk-test", base_url=f"{setting.url}/v1", max_retries=0) as client:
        yield client


def last(connection):
    """The event after which an answer is over."""
    for event in connection:
        if event.type in ("response.completed", "response.incomplete", "response.failed", "error"):
            return event
    raise AssertionError("the connection ended before the answer")


def test_a_conversation_goes_on_from_its_last_answer(client, setting):
    with client.responses.connect(extra_headers=setting.headers("text=4")) as connection:
        connection.response.create(model="m", input="one", store=False)
        first = last(connection).response
        connection.response.create(model="m", input="two", store=False, previous_response_id=first.id)
        second = last(connection).response
    one, two = setting.entries(settled=2)
    assert (first.output_text, second.output_text) == (one["text"], two["text"])
    assert second.usage.output_tokens == two["usage"]["output"]


def test_a_tool_loop(client, setting):
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
    with client.responses.connect(extra_headers=setting.headers("agent=1,reasoning=4")) as connection:
        connection.response.create(model="m", input="weather?", tools=[tool], store=False)
        first = last(connection).response
        (call,) = [item for item in first.output if item.type == "function_call"]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        connection.response.create(
            model="m", input=[result], tools=[tool], store=False, previous_response_id=first.id
        )
        assert last(connection).response.output_text == setting.entries(settled=2)[1]["text"]


def test_an_error_comes_in_band(client, setting):
    with client.responses.connect(extra_headers=setting.headers("429")) as connection:
        for _ in range(2):
            connection.response.create(model="m", input="one")
            event = last(connection)
            assert (event.type, event.status) == ("error", 429)
