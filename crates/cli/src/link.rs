//! What all links have in common here.

use bytestreams_tokio::Endpoint;
use core::time::Duration;

/// How long the end of a link may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Closes a link in order, in reasonable time.
pub(crate) async fn close(endpoint: &Endpoint) {
    let _ = tokio::time::timeout(PATIENCE, endpoint.close()).await;
}
