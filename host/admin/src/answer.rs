//! Which request gets which page. Pure: a method and a path to an answer.
//!
//! | Request | Answer |
//! |---|---|
//! | GET `/` | 200, a line of HTML that links to the pages |
//! | GET `/metrics` | 200, Flume's JSON |
//! | GET `/metrics/prometheus` | 200, Prometheus text |
//! | TRACE, OPTIONS | 403 |
//! | anything else | 404 |
//!
//! Paths match in any case, as Flume's do; what follows `?` is not looked at. HEAD is answered like
//! GET, without the body.

use hyper::{Method, StatusCode};

use crate::flume_json::flume_json;
use crate::picture::Picture;
use crate::prometheus::{CONTENT_TYPE as PROMETHEUS_TYPE, prometheus_text};

const JSON_TYPE: &str = "application/json;charset=utf-8";
const HTML_TYPE: &str = "text/html;charset=utf-8";
const TEXT_TYPE: &str = "text/plain;charset=utf-8";

const START_PAGE: &str = "For Flume metrics please click <a href = \"./metrics\"> here</a>, \
    for Prometheus text <a href = \"./metrics/prometheus\"> here</a>.\n";

/// An answer without its transport.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Answers a request; the picture is only taken when a page is made from it.
pub(crate) fn answer(method: &Method, path: &str, picture: impl FnOnce() -> Picture) -> Answer {
    if *method == Method::TRACE || *method == Method::OPTIONS {
        return plain(StatusCode::FORBIDDEN, "this method is not allowed\n");
    }
    if *method != Method::GET && *method != Method::HEAD {
        return not_found();
    }
    match path.to_ascii_lowercase().as_str() {
        "/" => page(HTML_TYPE, START_PAGE.to_owned()),
        "/metrics" => page(JSON_TYPE, flume_json(&picture())),
        "/metrics/prometheus" => page(PROMETHEUS_TYPE, prometheus_text(&picture())),
        _ => not_found(),
    }
}

fn page(content_type: &'static str, body: String) -> Answer {
    Answer {
        status: StatusCode::OK,
        content_type,
        body,
    }
}

fn not_found() -> Answer {
    plain(
        StatusCode::NOT_FOUND,
        "there is nothing here; GET /metrics or /metrics/prometheus\n",
    )
}

fn plain(status: StatusCode, text: &str) -> Answer {
    Answer {
        status,
        content_type: TEXT_TYPE,
        body: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::samples;

    #[test]
    fn requests_and_their_answers() {
        let table = [
            (Method::GET, "/", 200, HTML_TYPE),
            (Method::GET, "/metrics", 200, JSON_TYPE),
            (Method::GET, "/METRICS", 200, JSON_TYPE),
            (Method::HEAD, "/metrics", 200, JSON_TYPE),
            (Method::GET, "/metrics/prometheus", 200, PROMETHEUS_TYPE),
            (Method::GET, "/Metrics/Prometheus", 200, PROMETHEUS_TYPE),
            (Method::GET, "/metrics/", 404, TEXT_TYPE),
            (Method::GET, "/other", 404, TEXT_TYPE),
            (Method::POST, "/metrics", 404, TEXT_TYPE),
            (Method::DELETE, "/", 404, TEXT_TYPE),
            (Method::TRACE, "/metrics", 403, TEXT_TYPE),
            (Method::OPTIONS, "/", 403, TEXT_TYPE),
        ];
        for (method, path, status, content_type) in table {
            let answer = answer(&method, path, samples::picture);
            assert_eq!(answer.status.as_u16(), status, "{method} {path}");
            assert_eq!(answer.content_type, content_type, "{method} {path}");
            assert!(!answer.body.is_empty(), "{method} {path}");
        }
    }
}
