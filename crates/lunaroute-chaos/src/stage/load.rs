//! Clients that come one after the other until they are told to stop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::client::{Call, Habit, Seen, watch};

/// What several clients saw.
#[derive(Debug, Default)]
struct Account(Mutex<Vec<Seen>>);

impl Account {
    fn add(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    /// What was seen since the last time.
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Clients at work. Dropped, they hang up.
pub(crate) struct Load {
    tasks: JoinSet<()>,
    over: Arc<AtomicBool>,
    account: Arc<Account>,
}

impl Load {
    /// Starts `clients` clients, each of which sends what `next` makes of its own number and the number of its request,
    /// one after the other.
    pub(crate) fn start<F>(address: SocketAddr, clients: usize, next: F) -> Self
    where
        F: Fn(usize, usize) -> (Call, Habit) + Send + Sync + 'static,
    {
        Self::begin(address, clients, None, next)
    }

    fn begin<F>(address: SocketAddr, clients: usize, every: Option<Duration>, next: F) -> Self
    where
        F: Fn(usize, usize) -> (Call, Habit) + Send + Sync + 'static,
    {
        let mut load = Self { tasks: JoinSet::new(), over: Arc::default(), account: Arc::default() };
        let next = Arc::new(next);
        for client in 0..clients {
            let (next, over, account) =
                (Arc::clone(&next), Arc::clone(&load.over), Arc::clone(&load.account));
            load.tasks.spawn(async move {
                let mut clock = every.map(|every| clock(every, client, clients));
                for number in 0.. {
                    if let Some(clock) = &mut clock {
                        clock.tick().await;
                    }
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let (call, habit) = next(client, number);
                    account.add(watch(address, &call, habit, &AtomicUsize::new(0)).await);
                }
            });
        }
        load
    }

    /// The same, each client beginning a request every so often at most.
    pub(crate) fn paced<F>(address: SocketAddr, clients: usize, every: Duration, next: F) -> Self
    where
        F: Fn(usize, usize) -> (Call, Habit) + Send + Sync + 'static,
    {
        Self::begin(address, clients, Some(every), next)
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        self.account.take()
    }

    /// From now on no client begins another request.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Lets every client finish its request and gives what all of them saw and nobody has taken.
    pub(crate) async fn finish(mut self) -> Vec<Seen> {
        self.end();
        while self.tasks.join_next().await.is_some() {}
        self.account.take()
    }
}

/// The clock of one client among several, each a little later than the one before: together they send evenly.
fn clock(every: Duration, client: usize, clients: usize) -> Interval {
    let (client, clients) = (u32::try_from(client).unwrap_or(0), u32::try_from(clients).unwrap_or(1));
    let mut clock = interval_at(Instant::now() + every * client / clients.max(1), every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}
