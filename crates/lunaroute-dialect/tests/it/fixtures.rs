//! Streams as the vendors send them.

use lunaroute_core::Dialect;

pub(crate) const CHAT_TOOLS: &str = r#": OPENROUTER PROCESSING

data: {"id":"","object":"chat.completion.chunk","created":0,"model":"","prompt_filter_results":[{"prompt_index":0}],"choices":[]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5.5","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"reasoning_content":"hm","reasoning":"hm"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Grüß \u201cdata: [DONE]\u201d\u2028\ud83d\ude00"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":" say \"finish_reason\":\"stop\"","tool_calls":[]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"read","arguments":""}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"list","arguments":"{"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","function":{"name":"read","arguments":"{\"p\":"}},{"index":1,"function":{"arguments":"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"call_c","type":"custom","custom":{"name":"apply_patch","input":"*** Begin\n"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":10000,"completion_tokens":50,"total_tokens":10050,"prompt_tokens_details":{"cached_tokens":9000,"cache_write_tokens":200},"completion_tokens_details":{"reasoning_tokens":20}}}

data: [DONE]

"#;

pub(crate) const RESPONSES_TOOLS: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5.5","output":[],"usage":null,"error":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","status":"in_progress","model":"gpt-5.5","output":[]}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":3,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"think"}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"rs_1","output_index":0,"summary_index":1,"delta":"more"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":5,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"think"},{"type":"summary_text","text":"more"}],"encrypted_content":"x"}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":6,"output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}

event: response.content_part.added
data: {"type":"response.content_part.added","sequence_number":7,"item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":8,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"Hello event: response.completed\n\nevent: response.completed","logprobs":[]}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":9,"item_id":"msg_1","output_index":1,"content_index":0,"text":"Hello event: response.completed\n\nevent: response.completed"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":10,"output_index":1,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello event: response.completed\n\nevent: response.completed","annotations":[]}]}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":11,"output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"call_a","name":"read","arguments":""}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":12,"output_index":3,"item":{"id":"ctc_1","type":"custom_tool_call","call_id":"call_b","name":"apply_patch","input":""}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":13,"item_id":"fc_1","output_index":2,"delta":"{\"p\":"}

event: response.custom_tool_call_input.delta
data: {"type":"response.custom_tool_call_input.delta","sequence_number":14,"item_id":"ctc_1","output_index":3,"delta":"*** Begin\n"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":15,"item_id":"fc_1","output_index":2,"delta":"1}"}

event: response.function_call_arguments.done
data: {"type":"response.function_call_arguments.done","sequence_number":16,"item_id":"fc_1","output_index":2,"name":"read","arguments":"{\"p\":1}"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":17,"output_index":2,"item":{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_a","name":"read","arguments":"{\"p\":1}"}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":18,"output_index":3,"item":{"id":"ctc_1","type":"custom_tool_call","call_id":"call_b","name":"apply_patch","input":"*** Begin\n"}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":19,"output_index":4,"item":{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"x"}}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":20,"output_index":5,"item":{"id":"fc_2","type":"function_call","status":"completed","call_id":"call_c","name":"late","arguments":"{}"}}

event: response.completed
data: {"type":"response.completed","sequence_number":21,"response":{"id":"resp_1","object":"response","status":"completed","model":"gpt-5.5","error":null,"incomplete_details":null,"output":[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"think"}]},{"id":"msg_1","type":"message","content":[{"type":"output_text","text":"Hello"}]},{"type":"function_call","call_id":"call_a","name":"read","arguments":"{\"p\":1}"},{"type":"custom_tool_call","call_id":"call_b","name":"apply_patch","input":"*** Begin\n"},{"type":"web_search_call"},{"type":"function_call","call_id":"call_c","name":"late","arguments":"{}"}],"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600,"cache_write_tokens":100,"cache_write_tokens_details":{"ttl_30m_tokens":70,"ttl_12h_tokens":30}},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":8},"total_tokens":1040}}}

"#;

pub(crate) const MESSAGES_TOOLS: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":300,"cache_read_input_tokens":9000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1,"service_tier":"standard"}}}

event: ping
data: {"type": "ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me see."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"It says \n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"x\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_a","name":"read","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"{\"p\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: content_block_start
data: {"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_b","name":"list","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":5}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":12,"cache_creation_input_tokens":300,"cache_read_input_tokens":9000,"output_tokens":120,"output_tokens_details":{"thinking_tokens":30}}}

event: message_stop
data: {"type":"message_stop"}

"#;

pub(crate) const GEMINI_TOOLS: &str = r#"data: {"candidates": [{"content": {"parts": [{"text": "Let me see.","thought": true}],"role": "model"}}],"usageMetadata": {"promptTokenCount": 1000,"totalTokenCount": 1030,"cachedContentTokenCount": 600,"thoughtsTokenCount": 30},"modelVersion": "gemini-3-pro","responseId": "r-1"}

data: {"candidates": [{"content": {"parts": [{"text": " Yes.","thought": true},{"text": "Grüß \"finishReason\": \"STOP\""}],"role": "model"},"index": 0}],"responseId": "r-1"}

data: {"candidates": [{"content": {"parts": [{"text": " \"promptFeedback\":{\"blockReason\":\"x\"} 😀"}],"role": "model"},"index": 0,"finishReason": null}],"responseId": "r-1"}

data: {"candidates": [{"content": {"parts": [{"functionCall": {"id": "fc-1","name": "read","args": {"p": 1}},"thoughtSignature": "EqQB"},{"functionCall": {"name": "list"}}],"role": "model"},"index": 0}],"responseId": "r-1"}

data: {"candidates": [{"content": {"parts": [{"executableCode": {"language": "PYTHON","code": "1"}},{"text": "Behind."}],"role": "model"},"index": 0}],"responseId": "r-1"}

data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 1000,"candidatesTokenCount": 20,"totalTokenCount": 1057,"cachedContentTokenCount": 600,"thoughtsTokenCount": 30,"toolUsePromptTokenCount": 7,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 1000}]},"modelVersion": "gemini-3-pro","responseId": "r-1"}

"#;

/// The reference stream of each dialect.
pub(crate) const STREAMS: [(Dialect, &str); 4] = [
    (Dialect::OpenaiChat, CHAT_TOOLS),
    (Dialect::OpenaiResponses, RESPONSES_TOOLS),
    (Dialect::Anthropic, MESSAGES_TOOLS),
    (Dialect::Gemini, GEMINI_TOOLS),
];
