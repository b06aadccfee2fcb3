//! `lunaroute translate`: what a request becomes at a provider of another dialect. Nothing is sent.

use std::io::{self, Read, Write};

use anyhow::Context;
use lunaroute_core::Dialect;
use lunaroute_dialect::cross::{self, Crossing, Profile, Warnings};
use serde_json::Value;

use crate::arguments::{Settings, TranslateOptions};
use crate::config::load;
use crate::exit::Code;

/// Longest request that is read, in bytes: what the gateway takes at most.
const LONGEST: u64 = 1024 * 1024 * 1024;

/// A translation that loses meaning, where that is not wanted.
const LOST: u8 = 1;

pub(crate) fn translate(settings: &Settings, options: &TranslateOptions) -> anyhow::Result<()> {
    let (from, to) = (options.from.dialect(), options.to.dialect());
    let mut body = Vec::new();
    io::stdin().lock().take(LONGEST).read_to_end(&mut body).context("the request cannot be read")?;
    let conversation = cross::decode_request(from, &body)?;
    let config = load(settings)?.config;
    let catalog = lunaroute_server::catalog(&config)?;
    let model = options.model.clone().unwrap_or_else(|| conversation.model.clone());
    let profile = match &options.provider {
        None => Profile::default(),
        Some(name) => lunaroute_server::differences(&config, name)
            .with_context(|| format!("no provider is called '{name}'; the configuration names them"))?,
    };
    let facts = catalog.facts(&model);
    let mut crossing = Crossing::new(&facts, &profile, &model);
    anyhow::ensure!(
        !model.is_empty() || from != Dialect::Gemini,
        "a request of Gemini names its model in the path: say which with --model"
    );
    // A body of Responses at the path of Chat is translated also where Chat is spoken.
    let translated = if from == to && conversation.origin == from {
        // The gateway sends the client's own bytes.
        let mut translated: Value = serde_json::from_slice(&body)?;
        if from != Dialect::Gemini {
            translated["model"] = Value::from(model.as_str());
        }
        translated
    } else {
        cross::encode_request(to, conversation, &mut crossing)?
    };
    let mut output = io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, &translated)?;
    writeln!(output)?;
    output.flush()?;
    tell(&crossing.warnings);
    let is_strict = options.strict || config.translation.strict;
    match crossing.warnings.first_loss() {
        Some(_) if is_strict => Err(Code(LOST).into()),
        _ => Ok(()),
    }
}

/// Each field that could not be carried over, on standard error.
fn tell(warnings: &Warnings) {
    for warning in warnings.iter() {
        anstream::eprintln!("{}: {warning}", if warning.loses_meaning { "lost" } else { "changed" });
    }
}

/// A dialect by the names that people type.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Spoken {
    /// OpenAI Chat Completions.
    #[value(alias = "openai_chat", alias = "chat")]
    OpenaiChat,
    /// OpenAI Responses.
    #[value(alias = "openai_responses", alias = "responses")]
    OpenaiResponses,
    /// Anthropic Messages.
    #[value(alias = "messages")]
    Anthropic,
    /// Gemini `generateContent`: the model is given with `--model`.
    Gemini,
}

impl Spoken {
    const fn dialect(self) -> Dialect {
        match self {
            Self::OpenaiChat => Dialect::OpenaiChat,
            Self::OpenaiResponses => Dialect::OpenaiResponses,
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini => Dialect::Gemini,
        }
    }
}
