//! The pages of this server that people meet outside an admin center: where the links of invitations and of lost
//! passwords lead. The token stands behind the number sign, so it is in no log.

use actix_web::{HttpResponse, get};

const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Where a password is chosen.
#[get("/account/password")]
pub async fn password() -> HttpResponse {
    page(include_str!("password.html"))
}

/// Where an invitation is accepted.
#[get("/account/invitation")]
pub async fn invitation() -> HttpResponse {
    page(include_str!("invitation.html"))
}

/// What both do.
#[get("/account/account.js")]
pub async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .body(include_str!("account.js"))
}

/// A page: nobody frames it, keeps it, or hears where its reader came from.
pub fn page(body: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-store"))
        .body(body.into())
}
