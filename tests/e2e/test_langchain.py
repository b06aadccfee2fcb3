"""LangChain's Messages client at a provider that speaks Responses alone."""

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from servers import Setting

MODEL = "simulated-model"
QUESTION = "Where does the moon go?"


@tool
def weather(city: str) -> str:
    """The weather of a city"""
    return f"rain in {city}"


@pytest.fixture
def setting(translating_gateways, simulator):
    return Setting(translating_gateways["responses"].url, simulator)


def model(setting, script):
    return ChatAnthropic(
        model=MODEL,
        base_url=setting.url,
        api_key="sk-e2e-test",
        max_retries=0,
        timeout=20,
        max_tokens=4096,
        thinking={"type": "enabled", "budget_tokens": 2000},
        default_headers=setting.headers(script),
    )


def ask(runnable, messages, streamed):
    if not streamed:
        return runnable.invoke(messages)
    whole = None
    for chunk in runnable.stream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


def agrees(answer, entry):
    """The framework and the provider's own account tell the same."""
    assert entry["path"] == "/v1/responses" and entry["outcome"] == "completed"
    blocks = answer.content if isinstance(answer.content, list) else [{"type": "text", "text": answer.content}]
    said = {kind: "".join(block.get(kind, "") for block in blocks) for kind in ("text", "thinking")}
    assert said == {"text": entry["text"], "thinking": entry["reasoning"]}
    assert len(answer.tool_calls) == entry["tool_calls"]
    told, figures = entry["usage"], answer.usage_metadata
    cached = told.get("cache_read", 0)
    assert figures["input_tokens"] == told["input"] + cached
    assert figures["input_token_details"].get("cache_read", 0) == cached
    assert figures["output_tokens"] == told["output"]


WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])


@WAYS
def test_tool_loop_of_three_turns_with_thinking(setting, streamed):
    agent = model(setting, "agent=2,tools=2,reasoning=4,cached=40").bind_tools([weather])
    messages = [HumanMessage(QUESTION)]
    for turn in range(3):
        answer = ask(agent, messages, streamed)
        entry = setting.entries(turn + 1)[-1]
        agrees(answer, entry)
        assert entry["stream"] == streamed and entry["reasoning"]
        messages.append(answer)
        if turn == 2:
            assert not answer.tool_calls and answer.text
            break
        for call in answer.tool_calls:
            result = weather.invoke(call)
            assert isinstance(result, ToolMessage) and result.content == f"rain in {call['args']['city']}"
            messages.append(result)
    assert len({call["id"] for message in messages for call in getattr(message, "tool_calls", [])}) == len(
        [message for message in messages if isinstance(message, ToolMessage)]
    )


@WAYS
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, anthropic.BadRequestError), (429, anthropic.RateLimitError), (500, anthropic.InternalServerError)],
)
def test_error_is_the_sdks_exception(setting, streamed, status, error):
    with pytest.raises(error) as caught:
        ask(model(setting, f"error={status}"), [HumanMessage(QUESTION)], streamed)
    assert caught.value.status_code == status and caught.value.body["error"]["message"]


def test_stream_that_breaks_is_no_normal_end(setting):
    chunks = []
    with pytest.raises(anthropic.APIError):
        for chunk in model(setting, "text=30,error_event=8").stream([HumanMessage(QUESTION)]):
            chunks.append(chunk)
    assert any(chunk.text for chunk in chunks), "what came before was delivered"
    assert not any(chunk.response_metadata.get("stop_reason") for chunk in chunks)
