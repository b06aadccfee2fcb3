//! Taking the next connection, whatever the kernel says.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

/// The pause after an error that will be there again at once, such as having no file descriptor left.
const PAUSE: Duration = Duration::from_millis(75);

/// Asks `accept` until it gives a connection. A connection that died in the queue is passed over; every other error is
/// followed by a pause, because asking again at once would spin. Said once per run of errors.
pub(crate) async fn patiently<T, F>(mut accept: impl FnMut() -> F) -> T
where
    F: Future<Output = io::Result<T>>,
{
    let mut is_said = false;
    loop {
        match accept().await {
            Ok(connection) => return connection,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !is_said {
                    tracing::warn!(%error, "cannot accept connections; trying again until it works");
                    is_said = true;
                }
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_descriptor_left_is_waited_out_without_spinning() {
        const TOO_MANY_OPEN_FILES: i32 = 24;
        let mut answers: VecDeque<io::Result<u8>> =
            (0..10).map(|_| Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES))).collect();
        answers.push_back(Err(io::ErrorKind::ConnectionAborted.into()));
        answers.push_back(Ok(7));
        let start = Instant::now();
        let taken = patiently(|| std::future::ready(answers.pop_front().expect("asked too often"))).await;
        assert_eq!(taken, 7);
        assert_eq!(start.elapsed(), PAUSE * 10, "a pause after each error, none after a dead connection");
    }
}
