//! A provider, and the bare proxy before it.

use std::net::{Ipv4Addr, SocketAddr};

use lunaroute_sim::{BodyPolicy, Config, Provider};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) async fn provider() -> Provider {
    Provider::start(Config { bodies: BodyPolicy::Whole, ..Config::default() }).await.unwrap()
}

pub(crate) fn address(provider: &Provider) -> SocketAddr {
    provider.base_url().trim_start_matches("http://").parse().unwrap()
}

/// The proxy runs until the set is dropped.
pub(crate) async fn bare_proxy(upstream: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { lunaroute_bench::serve_bare_proxy(listener, upstream).await.unwrap() });
    (address, tasks)
}
