//! What the proxy answers by itself.

use std::fs;
use std::path::Path;

use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};

use crate::body::{AnyBody, text};
use crate::options::Options;

/// A short page; the service's own where it has one for the status (`503.html`, in which `{{ .Message }}` stands for the message).
pub fn page(status: StatusCode, message: &str, options: Option<&Options>) -> Response<AnyBody> {
    let own = options
        .and_then(|options| options.error_pages.as_deref())
        .and_then(|folder| {
            let page =
                fs::read_to_string(Path::new(folder).join(format!("{}.html", status.as_u16())))
                    .ok()?;
            Some(page.replace("{{ .Message }}", &escape(message)))
        });
    let is_own = own.is_some();
    let reason = status.canonical_reason().unwrap_or_default();
    let page = own.unwrap_or_else(|| {
        let message = if message.is_empty() {
            String::new()
        } else {
            format!(": {message}")
        };
        format!("{} {reason}{message}\n", status.as_u16())
    });
    let kind = if is_own {
        "text/html; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let mut response = Response::new(text(page));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// To the same place over https.
pub fn to_https(host: &str, path_and_query: &str) -> Response<AnyBody> {
    let mut response = page(StatusCode::MOVED_PERMANENTLY, "", None);
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("https://{host}{path_and_query}")) {
        headers.insert(LOCATION, location);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn escape(message: &str) -> String {
    message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
}
