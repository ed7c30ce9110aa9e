//! Attempts to reach one of several StreamHosts.
