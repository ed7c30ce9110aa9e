//! HTTP: the page, and the way to a WebSocket.

use crate::Peer;
use crate::origin::may_upload;
use crate::page::ASSETS;
use crate::server::Shared;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::upgrade::OnUpgrade;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::{Context, Poll};
use tokio_tungstenite::tungstenite::handshake::server::create_response;

/// What one connection asks for.
pub(crate) struct Service<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) socket: SocketAddr,
    pub(crate) tls: bool,
    /// Where the connection becomes a WebSocket.
    pub(crate) upgrade: Mutex<Option<(OnUpgrade, Peer)>>,
}

/// A text, whole.
#[derive(Debug, Default)]
pub(crate) struct Text(Option<Bytes>);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |text| text.len() as u64))
    }
}

impl Service<'_> {
    pub(crate) fn answer(&self, mut request: Request<Incoming>) -> Response<Text> {
        let wants = |headers: &HeaderMap, name, token: &str| {
            headers.get_all(name).iter().any(|value| {
                let mut tokens = value.to_str().unwrap_or_default().split(',');
                tokens.any(|word| word.trim().eq_ignore_ascii_case(token))
            })
        };
        if wants(request.headers(), header::UPGRADE, "websocket") {
            return self.upgraded(&mut request);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let path = request.uri().path();
        if path == "/options.json" {
            let text = format!(
                r#"{{"login":{},"maxSize":{}}}"#,
                self.shared.passwords.is_some(),
                self.shared
                    .max_size
                    .map_or_else(|| "null".into(), |size| size.to_string())
            );
            return page("application/json", text.into());
        }
        match ASSETS.iter().find(|asset| asset.path == path) {
            Some(asset) => page(asset.mime, Bytes::from_static(asset.text.as_bytes())),
            None => plain(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    /// Turns the connection into a WebSocket, at any path: the page may stand behind a proxy's prefix.
    fn upgraded(&self, request: &mut Request<Incoming>) -> Response<Text> {
        let headers = request.headers();
        let text = |name| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("null"))
        };
        let (origin, host) = (text(header::ORIGIN), text(header::HOST));
        if headers.get_all(header::ORIGIN).iter().count() > 1
            || !may_upload(origin, host, &self.shared.origins)
        {
            return plain(
                StatusCode::FORBIDDEN,
                "pages of this origin may not upload here\n",
            );
        }
        let mut bare = Request::new(());
        *bare.method_mut() = request.method().clone();
        *bare.version_mut() = request.version();
        *bare.headers_mut() = headers.clone();
        let Ok(response) = create_response(&bare) else {
            return plain(StatusCode::BAD_REQUEST, "not a WebSocket handshake\n");
        };
        let peer = Peer::new(self.socket, self.tls, headers, self.shared.trust_proxy);
        let mut upgrade = self.upgrade.lock().unwrap_or_else(PoisonError::into_inner);
        *upgrade = Some((hyper::upgrade::on(request), peer));
        response.map(|()| Text::default())
    }
}

fn page(mime: &'static str, text: Bytes) -> Response<Text> {
    let mut response = Response::new(Text(Some(text)));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, mime),
        // A new version of the server has a new page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
             connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Text> {
    let mut response = page(
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    );
    *response.status_mut() = status;
    response
}
