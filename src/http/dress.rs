//! What every answer wears, so that a browser does no more with it than it should (OWASP's secure headers).

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Only our own page may load this (Fetch §3.7); what CORS allows is allowed all the same.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// An answer of the API is data: it loads nothing, and nobody frames it.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The page that shows the document: all its parts are our own; its styles are also inline.
const DOCS: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
/// A year (RFC 6797 §6.1.1).
const HSTS: &str = "max-age=31536000";

/// Puts on what the answer does not wear yet.
pub fn dress(headers: &mut HeaderMap, path: &str, is_https: bool) {
    let policy = if path == "/docs" || path.starts_with("/docs/") {
        DOCS
    } else {
        DATA
    };
    for (name, value) in [
        // What is answered here is somebody's own: no cache in between keeps it.
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
}
