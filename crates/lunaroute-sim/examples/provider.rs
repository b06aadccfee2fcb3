//! The simulated provider alone: prints its address as one line of JSON and answers until it is interrupted.
//!
//! `cargo run -p lunaroute-sim --example provider -- --listen 127.0.0.1:0`

use std::error::Error;
use std::net::SocketAddr;

use lunaroute_sim::{BodyPolicy, Config, Provider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config { bodies: BodyPolicy::Whole, ..Config::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--listen" => config.address = value.parse::<SocketAddr>()?,
            "--seed" => config.seed = value.parse()?,
            _ => {
                return Err(
                    format!("unknown argument {argument}; known are --listen ADDRESS and --seed N").into()
                );
            }
        }
    }
    let provider = Provider::start(config).await?;
    println!("{{\"listening\":\"{}\"}}", provider.base_url());
    tokio::signal::ctrl_c().await?;
    provider.shutdown().await;
    Ok(())
}
