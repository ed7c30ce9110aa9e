//! What all links have in common here, and who we are on those without a server.

use bytestreams_stanza::Jid;
use bytestreams_tokio::Endpoint;
use bytestreams_tokio::serverless::Setup;
use core::time::Duration;

/// How long the end of a link may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who we are on a link without a server. The name is always the same, and so nobody's: a receiver
/// finds what it kept of a file by the peer's bare JID.
pub(crate) fn setup(role: &str) -> Setup {
    Setup {
        jid: Jid::new(&format!("{role}@serverless.invalid/bytestreams")).ok(),
        ..Setup::default()
    }
}

/// Closes a link in order, in reasonable time.
pub(crate) async fn close(endpoint: &Endpoint) {
    let _ = tokio::time::timeout(PATIENCE, endpoint.close()).await;
}
