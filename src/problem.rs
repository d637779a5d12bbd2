//! The one error a client can meet: `application/problem+json` (RFC 9457).
//!
//! A problem is a row of the table below (code, status, title) plus what is particular to the case.
//! Clients match on `code`; the prose may change.

use std::error::Error as StdError;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use chrono::TimeDelta;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use serde::Serialize;
use serde_json::{Map, Value};

macro_rules! codes {
    ($($name:ident $code:literal $status:literal $title:literal;)*) => {
        /// Every way a call can fail, by its stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            /// Every code there is, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The stable code, kebab-case.
            pub fn as_str(self) -> &'static str { match self { $(Self::$name => $code,)* } }

            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 { match self { $(Self::$name => $status,)* } }

            /// The same for every occurrence, for people.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

codes! {
    MalformedBody          "malformed-body"           400 "the body is not readable JSON";
    InvalidQuery           "invalid-query"            400 "a query parameter is unknown or invalid";
    InvalidCursor          "invalid-cursor"           400 "the cursor does not belong to this list";
    InvalidHeader          "invalid-header"           400 "a header is not readable";
    BadRequest             "bad-request"              400 "the request is not readable";
    Unauthenticated        "unauthenticated"          401 "sign in first";
    SignInFailed           "sign-in-failed"           401 "e-mail or password is wrong";
    SecondFactorRequired   "second-factor-required"   401 "a code of the second factor is needed";
    SsoFailed              "sso-failed"               401 "signing in at the identity provider has failed";
    TokenInvalid           "token-invalid"            422 "the token is used, expired or none";
    Forbidden              "forbidden"                403 "the role does not allow this";
    SsoRefused             "sso-refused"              403 "whom the identity provider names has no way in here";
    SsoNoRole              "sso-no-role"              403 "the identity provider names no role that is known here";
    NotFound               "not-found"                404 "there is no such thing";
    MethodNotAllowed       "method-not-allowed"       405 "the method is not allowed here";
    RequestTimeout         "request-timeout"          408 "the request took too long to arrive";
    AlreadyExists          "already-exists"           409 "it exists already";
    Conflict               "conflict"                 409 "somebody else changed it at the same time";
    TransitionNotAllowed   "transition-not-allowed"   409 "the state does not allow this";
    TenantNotAffected      "tenant-not-affected"      409 "the incident does not affect the tenant";
    IncidentNotActive      "incident-not-active"      409 "the incident is not active";
    TenantsNotCovered      "tenants-not-covered"      409 "the other incident does not affect every tenant that would move";
    EndIsOwed              "end-is-owed"              409 "whoever was told it began is told that it ended";
    RoutingNotConfigured   "routing-not-configured"   409 "there are no routing rules yet";
    NotOnDuty              "not-on-duty"              409 "the agent is not on duty in this queue";
    NotAvailable           "not-available"            409 "the agent is away";
    AtCapacity             "at-capacity"              409 "the agent has no room for more";
    WindowExpired          "window-expired"           409 "the time for this has passed";
    TenantAmbiguous        "tenant-ambiguous"         409 "several tenants match: name one";
    IdempotencyInProgress  "idempotency-in-progress"  409 "a call with this key is still running";
    PreconditionFailed     "precondition-failed"      412 "it has changed since it was read";
    PayloadTooLarge        "payload-too-large"        413 "the body is too large";
    UriTooLong             "uri-too-long"             414 "the address is too long";
    UnsupportedMediaType   "unsupported-media-type"   415 "the body must be application/json";
    UnsupportedEncoding    "unsupported-content-encoding" 415 "a Content-Encoding is not accepted";
    ValidationFailed       "validation-failed"        422 "the body is readable but not valid";
    CoverageGap            "coverage-gap"             422 "the queue would be unstaffed";
    IdempotencyKeyReused   "idempotency-key-reused"   422 "the key was used with another body";
    PreconditionRequired   "precondition-required"    428 "If-Match is needed here";
    TooManyRequests        "too-many-requests"        429 "too many calls";
    HeadersTooLarge        "headers-too-large"        431 "the headers are too large";
    Internal               "internal"                 500 "something went wrong on our side";
    ProviderUnavailable    "identity-provider-unavailable" 503 "the identity provider cannot be reached";
    Unavailable            "unavailable"              503 "the service is busy or its database is away";
}

/// What a write does with a problem before a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The answer stands.
    No,
    /// A serialization failure, a deadlock or a lost race: load and decide again.
    Again,
}

/// One field that is not valid, by its JSON pointer (RFC 6901).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: `/contact/email`; the empty string is the whole document.
    pub pointer: String,
    /// What is wrong with it, lower case.
    pub detail: String,
}

/// A problem as clients see it (RFC 9457 §3.1), for the document. Some codes have members of their own besides.
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "the body is made of the case")]
pub struct ProblemView {
    /// `urn:allclear:problem:` and the code.
    r#type: String,
    /// The same for every occurrence, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The stable code; match on this.
    code: String,
    /// What failed, and with what.
    detail: String,
    /// The fields that are not valid.
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// Under which the log knows the call.
    #[schema(required = false)]
    request_id: String,
}

/// An answer that is not the one the client hoped for.
#[derive(Debug)]
pub struct Problem(Box<Case>);

#[derive(Debug)]
struct Case {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, String)>,
    retry: Retry,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Problem {
    /// A problem with this code; `detail` names what failed and with what.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Case {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            members: Map::new(),
            headers: Vec::new(),
            retry: Retry::No,
            source: None,
        }))
    }

    /// 404: also the answer for what exists but belongs to another tenant.
    pub fn not_found(noun: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {noun}"))
    }

    /// 422 about one field, named by its JSON pointer.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let pointer = pointer.into();
        Self::new(Code::ValidationFailed, format!("{pointer}: {detail}"))
            .with_errors(vec![FieldError { pointer, detail }])
    }

    /// 500 with its cause, which is logged and never shown.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut problem = Self::new(Code::Internal, "the details are in the log under this request id");
        problem.0.source = Some(source.into());
        problem
    }

    /// Somebody changed the row between load and save: the write decides again, and answers 409 in the end.
    pub fn lost_race() -> Self {
        let mut problem = Self::new(
            Code::Conflict,
            "it was changed at the same time; read it and try again",
        );
        problem.0.retry = Retry::Again;
        problem
    }

    /// Adds the cause, which is logged and never shown.
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the list of invalid fields.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds an extension member (RFC 9457 §3.2).
    pub fn with(mut self, member: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.0.members.insert(member.to_owned(), value);
        self
    }

    /// Adds the `ETag` of the current version.
    pub fn with_etag(self, etag: String) -> Self {
        self.with_header(header::ETAG, etag)
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: HeaderName, value: String) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Says how long to wait before trying again, in whole seconds.
    pub fn retry_after(self, wait: TimeDelta) -> Self {
        let seconds = wait
            .num_milliseconds()
            .saturating_add(999)
            .div_euclid(1000)
            .max(1);
        self.with_header(header::RETRY_AFTER, seconds.to_string())
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whether it is our failure: then it is logged with its cause.
    pub fn status_code_is_5xx(&self) -> bool {
        self.0.code.status() >= 500
    }

    /// Whether a write should run its closure again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The body, with the id under which the log knows the call.
    pub fn body(&self, request_id: Option<&str>) -> Value {
        let case = &*self.0;
        let mut body = Map::new();
        body.insert(
            "type".into(),
            format!("urn:allclear:problem:{}", case.code.as_str()).into(),
        );
        body.insert("title".into(), case.code.title().into());
        body.insert("status".into(), case.code.status().into());
        body.insert("code".into(), case.code.as_str().into());
        body.insert("detail".into(), case.detail.clone().into());
        if !case.errors.is_empty() {
            body.insert(
                "errors".into(),
                serde_json::to_value(&case.errors).unwrap_or(Value::Null),
            );
        }
        body.extend(case.members.clone());
        if let Some(id) = request_id {
            body.insert("request_id".into(), id.into());
        }
        Value::Object(body)
    }

    /// The whole answer.
    pub fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        match self.code() {
            Code::Unauthenticated => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"allclear\""));
            }
            Code::Unavailable | Code::TooManyRequests => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            _ => {}
        }
        for (name, value) in &self.0.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.insert_header((name.clone(), value));
            }
        }
        response.body(self.body(request_id).to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)?;
        if let Some(source) = &self.0.source {
            write!(f, " ({source})")?;
        }
        Ok(())
    }
}

impl StdError for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

/// How libpq and PostgreSQL say that the database is busy or away: most of it comes without a kind.
const AWAY_SIGNS: &[&str] = &[
    "lock timeout",
    "statement timeout",
    "terminating connection",
    "server closed the connection",
    "no connection to the server",
    "connection to server",
    "could not receive data",
    "could not send data",
    "shutting down",
    "starting up",
];

impl From<DieselError> for Problem {
    /// A database failure is never "not found": whoever expects no row asks with `.optional()`.
    fn from(error: DieselError) -> Self {
        let retry = match &error {
            DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Retry::Again,
            DieselError::DatabaseError(_, info) if info.message().contains("deadlock detected") => {
                Retry::Again
            }
            DieselError::DatabaseError(_, info) if info.message().contains("database is locked") => {
                Retry::Again
            }
            _ => Retry::No,
        };
        let away = match &error {
            DieselError::BrokenTransactionManager => true,
            DieselError::DatabaseError(kind, info) => {
                use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
                let message = info.message();
                matches!(kind, ClosedConnection | UnableToSendCommand)
                    || AWAY_SIGNS.iter().any(|sign| message.contains(sign))
            }
            _ => false,
        };
        let mut problem = if away || retry == Retry::Again {
            Self::new(Code::Unavailable, "the database is busy or away; try again")
        } else {
            Self::internal("database")
        };
        problem.0.retry = retry;
        problem.0.source = Some(Box::new(error));
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(
                code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{code:?}"
            );
            assert!(seen.insert(code.as_str()), "{code:?} twice");
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn the_cause_of_a_failure_is_not_shown() {
        let problem = Problem::from(DieselError::QueryBuilderError("secret table".into()));
        assert_eq!(problem.code(), Code::Internal);
        assert!(!problem.body(None).to_string().contains("secret"));
        assert!(problem.to_string().contains("secret"));
    }
}
