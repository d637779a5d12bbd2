//! The answer of a call: made inside the transaction, so that it can be kept with its effect.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde::Serialize;

use super::etag;
use crate::problem::Problem;

/// A 2xx answer with a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, 201 or 204.
    pub status: u16,
    /// Where the created thing is.
    pub location: Option<String>,
    /// The entity tag of a versioned thing.
    pub etag: Option<String>,
    /// JSON; empty with 204.
    pub body: String,
}

impl Answer {
    /// 200 with this body.
    pub fn ok(view: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self {
            status: 200,
            location: None,
            etag: None,
            body: serde_json::to_string(view).map_err(Problem::internal)?,
        })
    }

    /// 201 with this body and the address of what was made.
    pub fn created(location: String, view: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self {
            status: 201,
            location: Some(location),
            ..Self::ok(view)?
        })
    }

    /// 204.
    pub fn nothing() -> Self {
        Self {
            status: 204,
            location: None,
            etag: None,
            body: String::new(),
        }
    }

    /// With the entity tag of this version.
    pub fn version(mut self, version: i32) -> Self {
        self.etag = Some(etag::of(version));
        self
    }

    /// As actix sends it.
    pub fn respond(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if status == StatusCode::NO_CONTENT {
            return response.finish();
        }
        response.content_type("application/json").body(self.body)
    }
}
