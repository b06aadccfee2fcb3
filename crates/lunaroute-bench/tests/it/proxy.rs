//! The bare proxy changes no byte.

use std::sync::Arc;
use std::time::Duration;

use lunaroute_bench::{Load, Pool, Template, Workload};

use crate::stand::{address, bare_proxy, provider};

#[tokio::test]
async fn requests_and_streams_pass_whole_over_kept_connections() {
    let provider = provider().await;
    let (proxy, _tasks) = bare_proxy(address(&provider)).await;
    let mut pool = Pool::open(proxy, 4).await.unwrap();
    for workload in [Workload::Agent, Workload::Messages50] {
        let template = Arc::new(Template::new(workload, 0));
        let tally = pool.run(&template, Load::SATURATING, Duration::from_millis(100)).await.unwrap();
        assert_eq!(tally.failed, 0, "{:?}", tally.failure);
        assert_eq!(tally.events, tally.answered * workload.events());
    }
    let ledger = provider.ledger();
    for entry in &ledger.entries {
        let body: serde_json::Value = serde_json::from_slice(entry.body.as_ref().unwrap()).unwrap();
        assert!(body["tools"].as_array().is_some_and(|tools| tools.len() == 30), "a body came broken");
        assert_eq!(entry.body_bytes, 157_000);
        assert_eq!(entry.header("user-agent"), Some("lunaroute-bench"));
    }
}
