"""The three dialects behind one interface, each by its official SDK."""

import json
import time
from dataclasses import dataclass, field

import anthropic
import httpx2
import openai

MODEL = "simulated-model"
QUESTION = "Where does the moon go?"
# One transparent pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
TOOLS = {"weather": "The weather of a city", "time": "The time in a city"}
STOPS = {
    "stop": "end", "end_turn": "end", "completed": "end",
    "length": "length", "max_tokens": "length", "incomplete": "length",
    "tool_calls": "tools", "tool_use": "tools",
}  # fmt: skip


@dataclass
class Said:
    """An answer, whatever SDK gave it."""

    id: str
    text: str = ""
    reasoning: str = ""
    calls: list = field(default_factory=list)
    stop: str = ""
    # All input tokens, those read from a cache, output tokens, those of reasoning; None when nothing was told.
    usage: tuple | None = None


@dataclass
class Stream:
    """What a stream brought, and when its first text arrived, in seconds since 1970."""

    text: str = ""
    reasoning: str = ""
    first_text_at: float | None = None
    events: list = field(default_factory=list)

    def add(self, event, text=None, reasoning=None):
        self.events.append(event)
        if text:
            self.first_text_at = self.first_text_at or time.time()
            self.text += text
        self.reasoning += reasoning or ""


class OpenAI:
    """What both OpenAI dialects share."""

    sdk = openai
    request_id_header = "x-request-id"
    # A stream that ends too early, or with an error.
    broken = (openai.APIError,)

    def client(self, setting, asynchronous=False, retries=0):
        make = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        return make(api_key="sk-sdk-test", base_url=f"{setting.url}/v1", max_retries=retries, timeout=20)


class Chat(OpenAI):
    name = "chat"
    path = "/v1/chat/completions"

    def api(self, client):
        return client.chat.completions

    def arguments(self, tools=False, image=False, result_of=None):
        content = QUESTION
        if image:
            url = {"url": f"data:image/png;base64,{PIXEL}"}
            content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": url}]
        messages = [{"role": "user", "content": content}]
        if result_of:
            message = result_of.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            messages += [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in message.tool_calls]
        arguments = {"model": MODEL, "messages": messages}
        if tools:
            arguments["tools"] = [
                {"type": "function", "function": {"name": name, "description": told, "parameters": SCHEMA, "strict": True}}
                for name, told in TOOLS.items()
            ]
        return arguments

    def stream_arguments(self, **wanted):
        return {**self.arguments(**wanted), "stream_options": {"include_usage": True}}

    def read(self, answer):
        choice = answer.choices[0]
        usage = answer.usage and (
            answer.usage.prompt_tokens,
            answer.usage.prompt_tokens_details.cached_tokens,
            answer.usage.completion_tokens,
            answer.usage.completion_tokens_details.reasoning_tokens,
        )
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
        reasoning = getattr(choice.message, "reasoning_content", None) or ""
        return Said(answer.id, choice.message.content or "", reasoning, calls, STOPS[choice.finish_reason], usage)

    def collect(self, stream, event):
        delta = event.choices[0].delta if event.choices else None
        stream.add(event, delta and delta.content, delta and getattr(delta, "reasoning_content", None))

    def is_end(self, event):
        return any(choice.finish_reason for choice in event.choices)

    def final(self, helper, last):
        try:
            return helper.get_final_completion()
        except openai.LengthFinishReasonError as cut_short:
            # This SDK refuses to parse it, and hands it over all the same.
            return cut_short.completion


class Responses(OpenAI):
    name = "responses"
    path = "/v1/responses"

    def api(self, client):
        return client.responses

    def arguments(self, tools=False, image=False, result_of=None):
        content = QUESTION
        if image:
            picture = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"}
            content = [{"type": "input_text", "text": QUESTION}, picture]
        items = [{"role": "user", "content": content}]
        if result_of:
            items += [item.model_dump(exclude_none=True) for item in result_of.output]
            items += [
                {"type": "function_call_output", "call_id": item.call_id, "output": "ok"}
                for item in result_of.output
                if item.type == "function_call"
            ]
        arguments = {"model": MODEL, "input": items}
        if tools:
            arguments["tools"] = [
                {"type": "function", "name": name, "description": told, "parameters": SCHEMA, "strict": True}
                for name, told in TOOLS.items()
            ]
        return arguments

    stream_arguments = arguments

    def read(self, answer):
        usage = (
            answer.usage.input_tokens,
            answer.usage.input_tokens_details.cached_tokens,
            answer.usage.output_tokens,
            answer.usage.output_tokens_details.reasoning_tokens,
        )
        items = answer.output
        calls = [(item.name, json.loads(item.arguments)) for item in items if item.type == "function_call"]
        reasoning = "".join(part.text for item in items if item.type == "reasoning" for part in item.summary)
        return Said(
            answer.id, answer.output_text, reasoning, calls, "tools" if calls else STOPS[answer.status], usage
        )

    def collect(self, stream, event):
        text = event.delta if event.type == "response.output_text.delta" else None
        reasoning = event.delta if event.type == "response.reasoning_summary_text.delta" else None
        stream.add(event, text, reasoning)

    def is_end(self, event):
        return event.type in ("response.completed", "response.incomplete")

    def final(self, helper, last):
        # This SDK's helper knows no end but `response.completed`.
        return last.response if last.type == "response.incomplete" else helper.get_final_response()


class Messages:
    name = "messages"
    path = "/v1/messages"
    sdk = anthropic
    request_id_header = "request-id"
    # The SDK passes its HTTP client's exception on when a stream is cut.
    broken = (anthropic.APIError, httpx2.TransportError)

    def client(self, setting, asynchronous=False, retries=0):
        make = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
        return make(api_key="sk-sdk-test", base_url=setting.url, max_retries=retries, timeout=20)

    def api(self, client):
        return client.messages

    def arguments(self, tools=False, image=False, result_of=None):
        content = QUESTION
        if image:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            content = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
        messages = [{"role": "user", "content": content}]
        if result_of:
            messages.append({"role": "assistant", "content": [block.model_dump() for block in result_of.content]})
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
                for block in result_of.content
                if block.type == "tool_use"
            ]
            messages.append({"role": "user", "content": results})
        arguments = {"model": MODEL, "messages": messages, "max_tokens": 1024}
        if tools:
            arguments["tools"] = [
                {"name": name, "description": told, "input_schema": SCHEMA} for name, told in TOOLS.items()
            ]
        return arguments

    stream_arguments = arguments

    def read(self, answer):
        told = answer.usage
        whole_input = told.input_tokens + told.cache_read_input_tokens + told.cache_creation_input_tokens
        thinking = told.output_tokens_details.thinking_tokens if told.output_tokens_details else 0
        usage = (whole_input, told.cache_read_input_tokens, told.output_tokens, thinking)
        text = "".join(block.text for block in answer.content if block.type == "text")
        reasoning = "".join(block.thinking for block in answer.content if block.type == "thinking")
        calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
        return Said(answer.id, text, reasoning, calls, STOPS[answer.stop_reason], usage)

    def collect(self, stream, event):
        delta = event.delta if event.type == "content_block_delta" else None
        stream.add(event, getattr(delta, "text", None), getattr(delta, "thinking", None))

    def is_end(self, event):
        return event.type == "message_stop"

    def final(self, helper, last):
        return helper.get_final_message()


DIALECTS = [Chat(), Responses(), Messages()]


def ask(dialect, setting, script, retries=0, **wanted):
    """A plain answer as the SDK gives it."""
    api = dialect.api(dialect.client(setting, retries=retries))
    return api.create(**dialect.arguments(**wanted), extra_headers=setting.headers(script))


def stream(dialect, setting, script, into=None, **wanted):
    """All of a stream. What came before an exception is in `into`."""
    collected = into or Stream()
    api = dialect.api(dialect.client(setting))
    arguments = dialect.stream_arguments(**wanted)
    for event in api.create(**arguments, stream=True, extra_headers=setting.headers(script)):
        dialect.collect(collected, event)
    return collected


def helper_stream(dialect, setting, script, **wanted):
    """The answer that the SDK's own accumulator makes of a stream."""
    api = dialect.api(dialect.client(setting))
    arguments = dialect.stream_arguments(**wanted)
    with api.stream(**arguments, extra_headers=setting.headers(script)) as events:
        last = None
        for last in events:
            pass
        return dialect.final(events, last)
