//! File descriptors: every connection takes one, and the request on it another on its way to the provider. When they are
//! used up, nobody can connect and no record can be opened, so connections stop before that.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the recorder's files, the database with the long answers beside it, the log and the runtime may need at most.
const OWN: u64 = 128;

/// What one connection needs: itself, and the way to the provider.
const PER_CONNECTION: u64 = 2;

/// Raises this process's limit of file descriptors to the most that the system allows it. Programs that it starts
/// afterwards inherit that.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => {
            tracing::debug!(
                from = limit.current,
                to = limit.maximum,
                "the limit of file descriptors was raised"
            );
        }
        Err(error) => {
            tracing::warn!(%error, at = limit.current, "the limit of file descriptors could not be raised");
        }
    }
}

/// As many of the wanted connections as the process has descriptors for, at least 1.
pub(crate) fn connections(wanted: usize) -> usize {
    bearable(wanted, getrlimit(Resource::Nofile).current)
}

fn bearable(wanted: usize, descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else { return wanted };
    // A process with very few keeps half of them.
    let own = OWN.min(descriptors / 2);
    let left = (descriptors - own) / PER_CONNECTION;
    usize::try_from(left).unwrap_or(usize::MAX).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::bearable;

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        for (wanted, descriptors, connections) in [
            (10_000, None, 10_000),
            (10_000, Some(1 << 20), 10_000),
            (10_000, Some(20_000), 9_936),
            (10_000, Some(1_024), 448),
            (10_000, Some(256), 64),
            (10_000, Some(64), 16),
            (7, Some(1_024), 7),
            (10_000, Some(0), 1),
        ] {
            assert_eq!(bearable(wanted, descriptors), connections, "{wanted} with {descriptors:?}");
        }
    }
}
