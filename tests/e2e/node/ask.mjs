// One conversation of the Vercel AI SDK. Reads what to ask as JSON from the standard input, and writes what it saw.

import { text } from "node:stream/consumers";

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const { url, model, headers, prompt, streamed } = JSON.parse(await text(process.stdin));
const openai = createOpenAI({ apiKey: "sk-e2e-test", baseURL: `${url}/v1`, headers });
const asked = [];
const wanted = {
  model: openai.responses(model),
  prompt,
  maxRetries: 0,
  stopWhen: stepCountIs(5),
  tools: {
    weather: tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        asked.push(city);
        return `rain in ${city}`;
      },
    }),
  },
  providerOptions: {
    openai: {
      forceReasoning: true,
      reasoningEffort: "medium",
      reasoningSummary: "auto",
      store: false,
      include: ["reasoning.encrypted_content"],
    },
  },
};

const failure = (error) => ({ name: error.name, status: error.statusCode ?? null, message: error.message });

/** What the SDK makes of its steps, be they streamed or not. */
const seen = (steps) =>
  steps.map((step) => ({
    text: step.text,
    reasoning: step.reasoningText ?? "",
    calls: step.toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, input: call.input })),
    results: step.toolResults.map((result) => result.output),
    reason: step.finishReason,
    input: step.usage.inputTokens,
    cached: step.usage.inputTokenDetails.cacheReadTokens,
    output: step.usage.outputTokens,
    warnings: step.warnings ?? [],
  }));

const told = { asked, pieces: 0, error: null, steps: [] };
try {
  if (streamed) {
    const answer = streamText({ ...wanted, onError: () => {} });
    for await (const part of answer.fullStream) {
      if (part.type === "text-delta") told.pieces += 1;
      if (part.type === "error") told.error ??= failure(part.error);
    }
    if (told.error === null) told.steps = seen(await answer.steps);
  } else {
    told.steps = seen((await generateText(wanted)).steps);
  }
} catch (error) {
  told.error = failure(error);
}
console.log(JSON.stringify(told));
