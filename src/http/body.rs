//! Bodies and query strings: read, parsed and checked before an action sees them.
//!
//! What is not JSON is 400; JSON that is not the form (unknown fields too) is 422 with a pointer to the field.

use std::fmt::{self, Display};
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use garde::Validate;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use tokio::time::timeout;

use crate::problem::{Code, FieldError, Problem};
use crate::settings::Settings;
use crate::text;

/// A body may be this long: 1 MiB.
pub const LIMIT: usize = 1 << 20;

/// A checked body, and its bytes for the idempotency key.
#[derive(Debug)]
pub struct Form<T> {
    /// The form.
    pub value: T,
    /// The body as it came.
    pub bytes: web::Bytes,
}

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Form<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = is_json(request);
        let bytes = arrive(request, payload);
        Box::pin(async move {
            let bytes = bytes.await?;
            if !json && !bytes.is_empty() {
                return Err(Problem::new(Code::UnsupportedMediaType, "send application/json"));
            }
            let value = parse(&bytes)?;
            Ok(Self { value, bytes })
        })
    }
}

/// An iCalendar file (RFC 5545), and its bytes for the idempotency key.
#[derive(Debug)]
pub struct Document {
    /// The file, which is UTF-8.
    pub text: String,
    /// The body as it came.
    pub bytes: web::Bytes,
}

impl FromRequest for Document {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_calendar = essence(request).is_some_and(|essence| essence == "text/calendar");
        let bytes = arrive(request, payload);
        Box::pin(async move {
            let bytes = bytes.await?;
            if !is_calendar && !bytes.is_empty() {
                return Err(Problem::new(Code::UnsupportedMediaType, "send text/calendar"));
            }
            let text = std::str::from_utf8(&bytes).map_err(unreadable)?.to_owned();
            Ok(Self { text, bytes })
        })
    }
}

/// What the form of a page says (`application/x-www-form-urlencoded`). A body that is something else has no fields.
#[derive(Debug)]
pub struct Fields(web::Bytes);

impl Fields {
    /// Whether a field has this value.
    pub fn is(&self, name: &str, value: &str) -> bool {
        url::form_urlencoded::parse(&self.0).any(|(key, found)| key == name && found == value)
    }
}

impl FromRequest for Fields {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = arrive(request, payload);
        Box::pin(async move { Ok(Self(bytes.await?)) })
    }
}

/// The body, once all of it is there.
fn arrive(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<web::Bytes, Problem>> + use<> {
    let bytes = web::Bytes::from_request(request, payload);
    let patience = request
        .app_data::<web::Data<Settings>>()
        .map_or(Duration::from_secs(30), |settings| settings.client_timeout);
    async move {
        let late = |_| Problem::new(Code::RequestTimeout, "the body did not arrive in time");
        let bytes = timeout(patience, bytes).await.map_err(late)?;
        bytes.map_err(|error| unread(&error))
    }
}

/// A form without fields, for calls that take `{}`.
#[derive(Debug, Default, serde::Deserialize, garde::Validate, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// The media type of the body, without its parameters (RFC 9110 §8.3).
fn essence(request: &HttpRequest) -> Option<String> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_lowercase())
}

fn is_json(request: &HttpRequest) -> bool {
    essence(request).is_some_and(|essence| essence == "application/json" || essence.ends_with("+json"))
}

fn unread(error: &actix_web::Error) -> Problem {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => {
            Problem::new(Code::PayloadTooLarge, format!("a body may be {LIMIT} bytes long"))
        }
        _ => Problem::new(Code::MalformedBody, "the body could not be read to its end"),
    }
}

/// An empty body is an empty form.
fn parse<T: DeserializeOwned + Validate<Context = ()>>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
    let wrong = match read {
        // Serde would take a list for a form, its items for the fields in their order.
        _ if bytes.trim_ascii_start().starts_with(b"[") => Problem::invalid("", "must be an object"),
        Ok(value) => {
            reader.end().map_err(unreadable)?;
            check(&value)?;
            return Ok(value);
        }
        Err(error) => refused(&pointer(&error.path().to_string()), error.inner()),
    };
    // A body that cannot be read to its end is 400, whatever is wrong with its beginning.
    std::str::from_utf8(bytes).map_err(unreadable)?;
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(unreadable)?;
    Err(wrong)
}

fn unreadable(error: impl Display) -> Problem {
    Problem::new(Code::MalformedBody, error.to_string())
}

fn refused(pointer: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // Without serde's position: the pointer says where.
    let detail = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    let missing = detail
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    match (missing, error.classify()) {
        (Some(field), _) => Problem::invalid(format!("{pointer}/{field}"), "is missing"),
        (None, Category::Data) => Problem::invalid(pointer, detail),
        // So it says where an enum is expected and something else than a text is there.
        (None, _) => Problem::invalid(pointer, "must be of another type"),
    }
}

/// Reads an object, where serde would take a list for a form too: for nested forms without mandatory fields.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }
    deserializer.deserialize_map(Members(PhantomData))
}

/// The same where it may be left out or `null`.
pub fn object_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|found| found.0))
}

/// The same for each of a list.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let found = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(found.into_iter().map(|found| found.0).collect())
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// Reads a field that may be `null`, which is something else than left out: with `#[serde(default)]`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Everything that is wrong with a form, at once.
pub fn check<T: Validate<Context = ()>>(value: &T) -> Result<(), Problem> {
    let Err(report) = value.validate() else {
        return Ok(());
    };
    let errors: Vec<_> = report
        .iter()
        .map(|(path, error)| FieldError {
            pointer: pointer(&path.to_string()),
            detail: error.to_string(),
        })
        .collect();
    let detail = errors.first().map_or_else(String::new, |first| {
        format!("{}: {}", first.pointer, first.detail)
    });
    Err(Problem::new(Code::ValidationFailed, detail).with_errors(errors))
}

/// `shifts[0].name` as a JSON pointer (RFC 6901): `/shifts/0/name`.
fn pointer(path: &str) -> String {
    if path.is_empty() || path == "." {
        return String::new();
    }
    let path = path
        .replace('~', "~0")
        .replace('/', "~1")
        .replace('[', ".")
        .replace(']', "");
    format!("/{}", path.trim_start_matches('.').replace('.', "/"))
}

/// An error names the parameter: serde's own says what is wrong with it only.
fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let parameters = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let detail = match error.path().to_string().as_str() {
            "" | "." => error.inner().to_string(),
            name => format!("{name}: {}", error.inner()),
        };
        Problem::new(Code::InvalidQuery, detail)
    })
}

/// A checked query string; unknown and repeated parameters are 400.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(query(request.query_string()).map(Self))
    }
}

/// The line of at most `MOST` characters that a parameter of this name has in a query string.
pub fn line<const MOST: usize>(name: &str, given: String) -> Result<String, Problem> {
    let refused = |why| Problem::new(Code::InvalidQuery, format!("{name} {why}"));
    text::line::<MOST>(&given, &()).map_err(refused)?;
    // What is no UTF-8 in a query string comes as this.
    if given.contains(char::REPLACEMENT_CHARACTER) {
        return Err(refused(garde::Error::new("must be UTF-8")));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, garde::Validate)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "parsed, and not looked at")]
    struct Sample {
        #[garde(custom(crate::text::line::<5>))]
        name: String,
        #[serde(default)]
        #[garde(inner(range(max = 9)))]
        numbers: Vec<i32>,
        #[serde(default)]
        #[garde(skip)]
        size: Size,
        #[serde(default, deserialize_with = "object")]
        #[garde(skip)]
        inner: Inner,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    enum Size {
        #[default]
        Small,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        x: i32,
    }

    #[test]
    fn what_is_wrong_is_named_by_status_and_pointer() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (body, code, pointer) in [
            ("", Code::ValidationFailed, "/name"),
            ("[\"a\"]", Code::ValidationFailed, ""),
            ("[\"a\",[1]]", Code::ValidationFailed, ""),
            ("{", Code::MalformedBody, ""),
            ("\u{0}", Code::MalformedBody, ""),
            ("{\"name\":\"a\"} x", Code::MalformedBody, ""),
            (deep.as_str(), Code::ValidationFailed, ""),
            ("{\"name\":1}", Code::ValidationFailed, "/name"),
            ("{\"name\":1", Code::MalformedBody, ""),
            ("{\"name\":\"a\",\"size\":7}", Code::ValidationFailed, "/size"),
            ("{\"name\":\"a\",\"inner\":[]}", Code::ValidationFailed, "/inner"),
            (
                "{\"name\":\"a\",\"inner\":{\"x\":\"y\"}}",
                Code::ValidationFailed,
                "/inner/x",
            ),
            (
                "{\"name\":\"a\",\"numbers\":[1,\"b\"]}",
                Code::ValidationFailed,
                "/numbers/1",
            ),
            (
                "{\"name\":\"a\",\"numbers\":[1,10]}",
                Code::ValidationFailed,
                "/numbers/1",
            ),
            ("{\"name\":\"a\",\"nam\":1}", Code::ValidationFailed, "/nam"),
            ("{\"name\":\"\"}", Code::ValidationFailed, "/name"),
        ] {
            let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code(), code, "{:.40}: {problem}", body);
            let json = problem.body(None);
            let found = json
                .pointer("/errors/0/pointer")
                .and_then(|p| p.as_str())
                .unwrap_or_default();
            assert_eq!(found, pointer, "{:.40}: {json}", body);
        }
        assert!(parse::<Sample>(b"{\"name\":\"a\",\"numbers\":[1]}").is_ok());
    }
}
