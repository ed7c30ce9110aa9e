//! How many files this process may have open.

use super::Config;

/// What a process needs beside connections and pipes.
const RESERVE: usize = 64;

/// The part of what may be open that pipes take at most: each has two ends.
const PIPES: usize = 8;

/// Raises the limit of open files to what the system lets this process have, and says what it is
/// then; `None` where there is none, or it cannot be known.
pub fn raise_open_files() -> Option<u64> {
    imp::raise()
}

/// Lowers the bounds to what the process may have open.
pub(super) fn fit(config: &mut Config) {
    let Some(limit) = imp::open_files().and_then(|limit| usize::try_from(limit).ok()) else {
        return;
    };
    config.pipes = config.pipes.min(limit / PIPES);
    let left = limit.saturating_sub(RESERVE + 2 * config.pipes).max(2);
    let bounds = &mut config.bounds;
    bounds.connections = bounds.connections.min(left);
    bounds.sessions = bounds.sessions.min(bounds.connections / 2);
}

#[cfg(unix)]
mod imp {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    pub(super) fn open_files() -> Option<u64> {
        getrlimit(Resource::Nofile).current
    }

    pub(super) fn raise() -> Option<u64> {
        let limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let raised = Rlimit {
                current: limit.maximum,
                ..limit
            };
            // Where it cannot be raised it stays as it is, and is told.
            let _ = setrlimit(Resource::Nofile, raised);
        }
        open_files()
    }
}

#[cfg(not(unix))]
mod imp {
    pub(super) fn open_files() -> Option<u64> {
        None
    }

    pub(super) fn raise() -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_stanza::Jid;

    #[test]
    fn bounds_fit_what_may_be_open() {
        let Some(limit) = raise_open_files() else {
            return;
        };
        let mut config = Config::new(Jid::new("proxy.example").expect("a JID"), "here");
        config.bounds.connections = usize::MAX;
        config.bounds.sessions = usize::MAX;
        config.pipes = usize::MAX;
        fit(&mut config);
        let bounds = &config.bounds;
        assert!((bounds.connections + 2 * config.pipes) as u64 <= limit);
        assert!(bounds.sessions * 2 <= bounds.connections);
        let bounds = &mut config.bounds;
        (bounds.connections, bounds.sessions, config.pipes) = (4, 2, 1);
        fit(&mut config);
        let bounds = &config.bounds;
        assert_eq!(
            (bounds.connections, bounds.sessions, config.pipes),
            (4, 2, 1)
        );
    }
}
