//! The two times that a browser comes by to sign in at a provider: to be sent there, and when it is sent back.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::arrival::arrive;
use super::claims::Claims;
use super::flow::{self, Pending, Refusal, Return};
use super::issuers::{Metadata, Registered};
use super::model::IdentityProvider;
use super::signature::{KeyName, Kind};
use super::{Issuers, store};
use crate::db::{IdentityProviderId, Moment, Scope};
use crate::http::Query;
use crate::identity::caller::part;
use crate::identity::refusals;
use crate::identity::session::api::{Grant, grant};
use crate::identity::session::{self, Client, Lasting};
use crate::identity::sign_in;
use crate::identity::tokens::Tokens;
use crate::problem::{Code, Problem};

/// The routes under `/v1`. The way back is written out, and stands before the ids.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(finish).service(begin);
}

/// What signing in at a provider stands on.
struct Ground {
    /// What signing in stands on everywhere.
    common: sign_in::Ground,
    issuers: Issuers,
    tokens: Tokens,
}

impl FromRequest for Ground {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let ground = || {
            Ok(Self {
                common: sign_in::Ground::of(request)?,
                issuers: part(request)?,
                tokens: part(request)?,
            })
        };
        ready(ground())
    }
}

/// Sign in at an identity provider
///
/// For a browser: it is sent to the provider, and comes back to `/v1/auth/sso/callback` within ten minutes.
#[utoipa::path(
    operation_id = "begin_sso", tag = "auth", params(("id" = IdentityProviderId, Path)),
    responses((status = 302, description = "to the identity provider", headers(
        ("location" = String, description = "where it signs people in"),
        ("set-cookie" = String, description = "what ties the way back to this browser"),
    ))),
)]
#[get("/auth/sso/{id}")]
async fn begin(id: web::Path<IdentityProviderId>, ground: Ground) -> Result<HttpResponse, Problem> {
    let provider = ground.provider(*id).await?;
    let metadata = ground.issuers.metadata(&provider.issuer).await?;
    let pending = Pending::begin(provider.id, ground.now());
    let address = pending.address(
        metadata.authorization_endpoint.clone().into(),
        &provider,
        &ground.back(),
    );
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, address.as_str()))
        .insert_header((
            header::SET_COOKIE,
            ground.cookie(&pending.seal(&ground.common.seal)?),
        ))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

/// Come back from an identity provider
///
/// Takes the code for tokens and begins a session, as `/v1/auth/login` does.
#[utoipa::path(operation_id = "finish_sso", tag = "auth", params(Return), responses((status = 200, body = Grant)))]
#[get("/auth/sso/callback")]
async fn finish(
    request: HttpRequest,
    back: Query<Return>,
    client: Client,
    ground: Ground,
) -> Result<HttpResponse, Problem> {
    let gone = ground.cookie("");
    let now = ground.now();
    let (pending, from) = (ground.pending(&request), client.address);
    let named = pending.as_ref().map(|pending| pending.provider);
    let done = match ground.session(pending, back.0, client).await {
        Ok(lasting) => grant(lasting, &ground.tokens, now),
        Err(problem) => {
            ground.note_refusal(&problem, named, from).await?;
            Err(problem)
        }
    };
    match done {
        Ok(mut answer) => {
            let gone = header::HeaderValue::from_str(&gone).map_err(Problem::internal)?;
            answer.headers_mut().insert(header::SET_COOKIE, gone);
            Ok(answer)
        }
        Err(problem) => Err(problem.with_header(header::SET_COOKIE, gone)),
    }
}

impl Ground {
    fn now(&self) -> Moment {
        self.common.now()
    }

    /// Where the provider sends the browser back to.
    fn back(&self) -> String {
        format!("{}/v1/auth/sso/callback", self.tokens.issuer())
    }

    fn is_https(&self) -> bool {
        self.tokens.issuer().starts_with("https://")
    }

    fn cookie(&self, value: &str) -> String {
        flow::cookie(value, self.is_https())
    }

    /// A provider that lets people in.
    async fn provider(&self, id: IdentityProviderId) -> Result<IdentityProvider, Problem> {
        let found = self
            .common
            .db
            .read_here(Scope::of_system(), move |conn| store::find(conn, id));
        let open = found.await?.filter(|provider| !provider.disabled);
        open.ok_or_else(|| Problem::not_found("identity provider"))
    }

    /// The sign-in that this browser has begun.
    fn pending(&self, request: &HttpRequest) -> Option<Pending> {
        let headers = request.headers().get_all(header::COOKIE);
        let mut texts = headers.filter_map(|value| value.to_str().ok());
        let sealed = texts.find_map(|text| flow::find_cookie(text, self.is_https()))?;
        Pending::open(sealed, &self.common.seal)
    }

    /// Begins a session for whoever came back.
    async fn session(
        &self,
        pending: Option<Pending>,
        back: Return,
        client: Client,
    ) -> Result<Lasting, Problem> {
        let now = self.now();
        let pending = pending.ok_or(Refusal::Unknown)?;
        let brought = pending.code(back, now)?;
        let provider = self.provider(pending.provider).await?;
        let metadata = self.issuers.metadata(&provider.issuer).await?;
        let says_so = metadata.authorization_response_iss_parameter_supported;
        brought.of_issuer(&provider.issuer, says_so)?;
        let claims = self
            .claims(&provider, &metadata, (&brought.code, &pending))
            .await?;
        let policy = self.common.policy;
        let done = self
            .common
            .db
            .write(Scope::of_tenant(provider.tenant_id), move |conn| {
                // It was asked for a while: an operator may have closed it meanwhile.
                if !store::hold(conn, &provider)? {
                    return Err(failed("the identity provider has changed meanwhile: begin again"));
                }
                let arrived = arrive(conn, &provider, &claims, now)?;
                let (member, name) = arrived.ok_or_else(kept_out)?;
                let by = Some(provider.id);
                session::begin(conn, (&member, &name, by), &client, policy, now)
            });
        done.await
    }

    /// Notes that whoever came was not let in; what failed on our side or the provider's is nobody's attempt.
    async fn note_refusal(
        &self,
        problem: &Problem,
        named: Option<IdentityProviderId>,
        from: IpAddr,
    ) -> Result<(), Problem> {
        let (code, now) = (problem.code(), self.now());
        if code.status() >= 500 {
            return Ok(());
        }
        let noted = self.common.db.write(Scope::of_system(), move |conn| {
            let provider = match named {
                Some(id) => store::find(conn, id)?,
                None => None,
            };
            let whose = provider.map(|provider| (provider.tenant_id, provider.id));
            refusals::federated(conn, whose, code, from, now)
        });
        noted.await
    }

    /// What the provider says of whoever signed in, for a code.
    async fn claims(
        &self,
        provider: &IdentityProvider,
        metadata: &Metadata,
        (code, pending): (&str, &Pending),
    ) -> Result<Claims, Problem> {
        let client = Registered {
            client_id: provider.client_id.clone(),
            secret: provider.secret(&self.common.seal)?,
        };
        let back = self.back();
        let code = (code, pending.verifier.as_str(), back.as_str());
        let tokens = self.issuers.exchange(metadata, &client, code).await?;
        let tokens = tokens.map_err(|reason| {
            tracing::warn!(%reason, provider = %provider.id, "an identity provider takes no code for tokens");
            failed("the identity provider does not take the code: begin again")
        })?;
        let unsigned = || failed("the ID token is not signed by a key of the identity provider");
        let name = KeyName::of(&tokens.id_token, Kind::Id).ok_or_else(unsigned)?;
        let key = self.issuers.key(&provider.issuer, &name).await?;
        let mut claims = name
            .open(&tokens.id_token, &key.ok_or_else(unsigned)?)
            .ok_or_else(unsigned)?;
        claims
            .of_sign_in(&provider.issuer, &provider.client_id, &pending.nonce, self.now())
            .map_err(|refusal| failed(&format!("the ID token is not believed: {refusal}")))?;
        if (claims.lacks("email") || claims.lacks(&provider.role_claim))
            && let Some(info) = self.issuers.user_info(metadata, &tokens).await?
        {
            claims.complete(info);
        }
        Ok(claims)
    }
}

fn failed(detail: &str) -> Problem {
    Problem::new(Code::SsoFailed, detail)
}

fn kept_out() -> Problem {
    let detail = "the account is disabled, or the tenant";
    Problem::new(Code::SignInFailed, detail)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => {
                failed("no such sign-in was begun in this browser within ten minutes: begin again")
            }
            Refusal::OtherIssuer => failed("another identity provider has answered: begin again"),
            Refusal::ByProvider(None) => failed("the identity provider has refused"),
            Refusal::ByProvider(Some(error)) => {
                failed("the identity provider has refused").with("provider_error", error)
            }
        }
    }
}
