//! Access tokens of identity providers as bearer tokens (RFC 9068): who calls with one, if it is one.

use actix_web::HttpRequest;
use serde::Deserialize;

use super::actions::is_issuer;
use super::arrival::{arrive, recognise};
use super::claims::{Audience, Claims};
use super::model::IdentityProvider;
use super::signature::{KeyName, Kind};
use super::{Issuers, store};
use crate::db::{Db, Moment, Scope};
use crate::http::client;
use crate::identity::caller::{Known, no_longer, part};
use crate::identity::refusals;
use crate::identity::tokens::{self, Tokens};
use crate::problem::{Code, Problem};

/// What a token says of where it belongs, before anything of it is believed.
#[derive(Deserialize)]
struct Unproven {
    iss: String,
    aud: Audience,
}

/// Who calls with a token of a provider; `None` of one that names no provider's issuer.
pub async fn authenticate(request: &HttpRequest, token: &str, now: Moment) -> Result<Option<Known>, Problem> {
    // What cannot be right is not worth a query.
    let Some(key) = KeyName::of(token, Kind::Access) else {
        return Ok(None);
    };
    let Ok(unproven) = jsonwebtoken::dangerous::insecure_decode_claims::<Unproven>(token) else {
        return Ok(None);
    };
    if part::<Tokens>(request)?.issuer() == unproven.iss || !is_issuer(&unproven.iss) {
        return Ok(None);
    }
    let db = part::<Db>(request)?;
    let iss = unproven.iss;
    let found = db
        .read_here(Scope::of_system(), move |conn| store::of_issuer(conn, &iss))
        .await?;
    let Some(provider) = addressed(found, &unproven.aud) else {
        return Ok(None);
    };
    let claims = proven(&part::<Issuers>(request)?, &provider, (token, &key), now).await?;
    let until = claims.good_until();
    let found = person(&db, &provider, claims, now).await;
    let found = found.and_then(|known| known.ok_or_else(no_longer));
    if let Err(problem) = &found
        && problem.code().status() < 500
    {
        let (whose, code) = ((provider.tenant_id, provider.id), problem.code());
        let from = client::address(request);
        db.write(Scope::of_tenant(provider.tenant_id), move |conn| {
            refusals::federated(conn, Some(whose), code, from, now)
        })
        .await?;
    }
    let (sub, role, name) = found?;
    let claims = tokens::Claims::of_provider((sub, provider.tenant_id, role), provider.id, until);
    Ok(Some(Known {
        claims,
        name,
        scopes: None,
    }))
}

/// The provider whose audience the token names. One that names those of several is nobody's.
fn addressed(found: Vec<IdentityProvider>, aud: &Audience) -> Option<IdentityProvider> {
    let is_meant = |provider: &IdentityProvider| {
        !provider.disabled && provider.audience.as_ref().is_some_and(|name| aud.has(name))
    };
    let mut meant = found.into_iter().filter(is_meant);
    let first = meant.next()?;
    meant.next().is_none().then_some(first)
}

/// What the token says, if the issuer has signed it for us and for now.
async fn proven(
    issuers: &Issuers,
    provider: &IdentityProvider,
    (token, name): (&str, &KeyName),
    now: Moment,
) -> Result<Claims, Problem> {
    let key = issuers.key(&provider.issuer, name).await?.ok_or_else(refused)?;
    let claims = name.open(token, &key).ok_or_else(refused)?;
    let audience = provider.audience.as_deref().ok_or_else(refused)?;
    let believed = claims.of_call(&provider.issuer, audience, &provider.client_id, now);
    believed.map_err(|_| refused())?;
    Ok(claims)
}

/// Who that is, in the scope of the provider's tenant. Most have been here before, and a read will do.
async fn person(
    db: &Db,
    provider: &IdentityProvider,
    claims: Claims,
    now: Moment,
) -> Result<Option<(crate::db::PersonId, crate::identity::Role, String)>, Problem> {
    let scope = Scope::of_tenant(provider.tenant_id);
    let (of, says) = (provider.clone(), claims.clone());
    let known = db
        .read_here(scope, move |conn| recognise(conn, &of, &says))
        .await?;
    if known.is_some() {
        return Ok(known);
    }
    let of = provider.clone();
    let arrived = db
        .write(scope, move |conn| match store::hold(conn, &of)? {
            true => arrive(conn, &of, &claims, now),
            false => Ok(None),
        })
        .await?;
    Ok(arrived.map(|(member, name)| (member.person_id, member.role, name)))
}

fn refused() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "the access token of the identity provider is not valid (any more), or not for this installation",
    )
}
