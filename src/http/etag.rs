//! Entity tags and `If-Match` (RFC 9110 §8.8.3 and §13.1.1): nobody overwrites what they have not seen.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};

use crate::problem::{Code, Problem};

/// The entity tag of a version.
pub fn of(version: i32) -> String {
    format!("\"{version}\"")
}

/// The `If-Match` header of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// There was none.
    Absent,
    /// `*`: whatever there is.
    Any,
    /// One of these tags.
    Tags(Vec<String>),
}

impl IfMatch {
    /// 428 without the header, 412 with the current tag when it names another version.
    pub fn require(&self, version: i32, status: &str) -> Result<(), Problem> {
        match self {
            Self::Absent => Err(Problem::new(
                Code::PreconditionRequired,
                "send If-Match with the ETag that you read, or with *",
            )),
            _ => self.check(version, status),
        }
    }

    /// The same where the header may be left out.
    pub fn check(&self, version: i32, status: &str) -> Result<(), Problem> {
        let current = of(version);
        match self {
            Self::Tags(tags) if !tags.contains(&current) => Err(Problem::new(
                Code::PreconditionFailed,
                format!("the current version is {version}, its status {status}"),
            )
            .with("current_etag", &current)
            .with("current_status", status)
            .with_etag(current)),
            _ => Ok(()),
        }
    }

    fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in request.headers().get_all(header::IF_MATCH) {
            let text = value.to_str().map_err(|_| unreadable())?;
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if tag == "*" {
                    return Ok(Self::Any);
                }
                let strong = tag.strip_prefix("W/").unwrap_or(tag);
                let opaque = strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                if opaque.is_none_or(|opaque| opaque.contains('"')) {
                    return Err(unreadable());
                }
                // A weak tag never matches strongly, which is what If-Match asks for; it stays as it is.
                tags.push(tag.to_owned());
            }
        }
        Ok(if tags.is_empty() {
            Self::Absent
        } else {
            Self::Tags(tags)
        })
    }
}

fn unreadable() -> Problem {
    Problem::new(
        Code::InvalidHeader,
        "If-Match must be * or quoted entity tags, such as \"3\"",
    )
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn read(value: &str) -> Result<IfMatch, Problem> {
        IfMatch::read(
            &TestRequest::default()
                .insert_header((header::IF_MATCH, value))
                .to_http_request(),
        )
    }

    #[test]
    fn tags_are_read_and_compared_strongly() {
        for (header, fits) in [
            ("*", true),
            ("\"3\"", true),
            ("\"2\", \"3\"", true),
            ("\"2\"", false),
            ("W/\"3\"", false),
        ] {
            assert_eq!(
                read(header).unwrap().require(3, "queued").is_ok(),
                fits,
                "{header}"
            );
        }
        assert_eq!(read("3").unwrap_err().code(), Code::InvalidHeader);
        assert_eq!(
            IfMatch::Absent.require(3, "queued").unwrap_err().code(),
            Code::PreconditionRequired
        );
        assert_eq!(
            read("\"2\"").unwrap().require(3, "queued").unwrap_err().code(),
            Code::PreconditionFailed
        );
    }
}
