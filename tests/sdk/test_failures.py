"""Failures reach the program as the SDK's own exceptions, and never as a normal end."""

import openai
import pytest
from dialects import Stream, ask, helper_stream, stream

CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    500: "InternalServerError",
    529: "InternalServerError",
}


@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("get", [ask, stream], ids=["plain", "streamed"])
def test_status_becomes_the_sdks_exception(dialect, setting, status, get):
    wait = ",retry_after_ms=7000" if status in (429, 529) else ""
    with pytest.raises(getattr(dialect.sdk, CLASSES[status])) as caught:
        get(dialect, setting, f"error={status}{wait}")
    error, entry = caught.value, setting.entry()
    assert error.status_code == status == entry["status"]
    assert error.request_id == entry["request_id"]
    assert error.response.headers.get("retry-after") == ("7" if wait else None)
    assert isinstance(error.body, dict) and error.body
    assert entry["outcome"] == "error_status"


@pytest.mark.parametrize("get", [stream, helper_stream], ids=["raw", "helper"])
def test_error_in_mid_stream(dialect, setting, get):
    before = Stream()
    extra = {"into": before} if get is stream else {}
    if dialect.name == "responses":
        # This SDK hands the `error` event over as an event; its helper then has no response to give.
        if get is stream:
            get(dialect, setting, "error_event=6", **extra)
            assert before.events[-1].type == "error"
        else:
            with pytest.raises(RuntimeError, match="response.completed"):
                get(dialect, setting, "error_event=6")
    else:
        with pytest.raises(dialect.sdk.APIError) as caught:
            get(dialect, setting, "error_event=6", **extra)
        assert caught.value.body
    assert not any(dialect.is_end(event) for event in before.events)
    if get is stream:
        assert before.text
    assert setting.entry()["outcome"] == "error_event"


@pytest.mark.parametrize("reset", ["", ",reset"], ids=["closed", "reset"])
def test_cut_in_mid_stream_is_no_normal_end(dialect, setting, reset):
    before = Stream()
    try:
        stream(dialect, setting, f"text=30,cut_events=9,delay=1{reset}", into=before)
    except dialect.broken:
        pass
    else:
        # Responses may tell the failure in an event of its own, for which the SDK has no exception.
        assert dialect.name == "responses"
        assert before.events[-1].type in ("error", "response.failed")
    assert before.text, "what came before the cut was delivered"
    assert not any(dialect.is_end(event) for event in before.events)
    assert setting.entry()["outcome"] == "cut"


def test_connection_without_an_answer(dialect, setting):
    with pytest.raises(dialect.sdk.APIError):
        ask(dialect, setting, "cut_head")
    assert setting.entry()["outcome"] == "cut"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_sdk_retries_by_itself(dialect, setting, status):
    said = dialect.read(ask(dialect, setting, f"error={status},fail_times=2,retry_after_ms=10", retries=2))
    entries = setting.entries(3)
    assert [entry["status"] for entry in entries] == [status, status, 200]
    assert said.text == entries[-1]["text"]
    assert said.stop == "end"


def test_client_that_stops_reading_is_gone_at_the_provider(dialect, setting):
    api = dialect.api(dialect.client(setting))
    headers = setting.headers("endless,delay=5")
    with api.create(**dialect.stream_arguments(), stream=True, extra_headers=headers) as events:
        for _, _ in zip(range(6), events):
            pass
    assert setting.entry()["outcome"] == "client_gone"


def test_refusal(dialect, setting):
    answer = ask(dialect, setting, "refusal")
    if dialect.name == "chat":
        assert answer.choices[0].message.refusal and answer.choices[0].finish_reason == "content_filter"
    elif dialect.name == "responses":
        assert answer.output[0].content[0].type == "refusal"
    else:
        assert (answer.stop_reason, answer.content) == ("refusal", [])
        assert answer.stop_details.explanation


def test_length_stop_is_told_by_the_parsing_helper(setting):
    client = openai.OpenAI(api_key="sk-sdk-test", base_url=f"{setting.url}/v1", max_retries=0)
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="m",
            messages=[{"role": "user", "content": "a"}],
            response_format={"type": "json_object"},
            extra_headers=setting.headers("length"),
        )
