//! How many files this process may have open.

use bytestreams_socks5::ProxyConfig;

/// What a process needs beside connections and pipes.
const RESERVE: usize = 64;

/// Raises the limit of open files to what the system lets this process have, and says what it is
/// then; `None` where there is none, or it cannot be known.
pub fn raise_open_files() -> Option<u64> {
    imp::raise()
}

/// Lowers the bounds to what the process may have open.
pub(super) fn fit(config: &mut ProxyConfig, pipes: usize) {
    let Some(limit) = imp::open_files().and_then(|limit| usize::try_from(limit).ok()) else {
        return;
    };
    let left = limit.saturating_sub(RESERVE + 2 * pipes).max(2);
    config.connections = config.connections.min(left);
    config.sessions = config.sessions.min(config.connections / 2);
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

    #[test]
    fn bounds_fit_what_may_be_open() {
        let Some(limit) = raise_open_files() else {
            return;
        };
        let mut config = ProxyConfig {
            connections: usize::MAX,
            sessions: usize::MAX,
            ..ProxyConfig::default()
        };
        fit(&mut config, 8);
        assert!(config.connections as u64 + 16 < limit);
        assert!(config.sessions * 2 <= config.connections);
        let mut small = ProxyConfig {
            connections: 4,
            sessions: 2,
            ..ProxyConfig::default()
        };
        fit(&mut small, 8);
        assert_eq!((small.connections, small.sessions), (4, 2));
    }
}
