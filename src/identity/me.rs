//! What is one's own, over HTTP: the account, its password and second factor, and the way back to a lost password.

use actix_web::{HttpResponse, delete, get, patch, post, put, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::actions::myself::{self, MyChange};
use super::actions::{password as passwords, second_factor};
use super::caller::Disclosed;
use super::keys::Secret;
use super::model::UserView;
use super::second_factor::Enrolment;
use super::session::Client;
use super::{Caller, attempts, password, store};
use crate::clock::Clock;
use crate::db::{Connection, Db, Scope};
use crate::http::bell::Bell;
use crate::http::body::Empty;
use crate::http::{Answer, Form};
use crate::problem::{Code, Problem};
use crate::text;

/// The routes under `/v1`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(me)
        .service(change)
        .service(change_password)
        .service(begin_second_factor)
        .service(confirm_second_factor)
        .service(remove_second_factor)
        .service(ask_reset)
        .service(set_password)
        .service(accept_invitation);
}

fn view(conn: &mut Connection, caller: &Caller) -> Result<UserView, Problem> {
    let gone = || Problem::not_found("user");
    let person = store::person(conn, caller.person())?.ok_or_else(gone)?;
    let membership = store::membership(conn, caller.tenant(), caller.person())?.ok_or_else(gone)?;
    Ok(UserView::of(person, &membership))
}

/// Who am I
#[utoipa::path(tag = "auth", responses((status = 200, body = UserView)), security(("bearer" = [])))]
#[get("/me")]
async fn me(caller: Caller) -> Result<HttpResponse, Problem> {
    let answer = caller.read_here(|conn, caller| {
        let view = view(conn, caller)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    Ok(answer.await?.respond())
}

/// Change my name, language or time zone
#[utoipa::path(operation_id = "change_me", tag = "auth", request_body = MyChange, responses((status = 200, body = UserView)), security(("bearer" = [])))]
#[patch("/me")]
async fn change(caller: Caller, form: Form<MyChange>) -> Result<HttpResponse, Problem> {
    let Form { value, bytes } = form;
    let done = caller.write(bytes, move |conn, caller| {
        let view = myself::change(conn, caller, &value)?;
        Ok(Answer::ok(&view)?.version(view.version))
    });
    done.await
}

/// A password for another.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The one so far.
    #[garde(custom(text::line::<200>))]
    current_password: String,
    /// The new one, 12 to 200 characters.
    #[garde(length(chars, min = 12, max = 200), custom(text::line::<200>))]
    new_password: String,
}

/// Change my password; all my sessions end
#[utoipa::path(tag = "auth", request_body = PasswordChange, responses((status = 204, description = "it is changed")), security(("bearer" = [])))]
#[put("/me/password")]
async fn change_password(caller: Caller, form: Form<PasswordChange>) -> Result<HttpResponse, Problem> {
    caller.require_own_sign_in()?;
    let Form { value, bytes } = form;
    let person = caller
        .clone()
        .read_here(|conn, caller| store::person(conn, caller.person()))
        .await?;
    let kept = person.and_then(|person| person.password_hash);
    let attempt = caller.attempt(attempts::own_password).await?;
    if !password::verify(value.current_password, kept.clone()).await? {
        return Err(Problem::invalid("/current_password", "is not your password"));
    }
    let hash = password::hash(value.new_password).await?;
    let done = caller.write(bytes, move |conn, caller| {
        let person = store::person(conn, caller.person())?;
        if person.and_then(|person| person.password_hash) != kept {
            return Err(Problem::new(
                Code::Conflict,
                "the password was changed at the same time",
            ));
        }
        let whose = (caller.tenant(), caller.person());
        passwords::replace(conn, whose, &hash, caller.address(), caller.now())?;
        attempt.succeeded(conn)?;
        Ok(Answer::nothing())
    });
    done.await
}

/// Begin to set up a second factor
///
/// The secret is shown once, for an authenticator (RFC 6238); codes are asked for once one of them has confirmed it.
#[utoipa::path(tag = "auth", request_body = Empty, responses((status = 200, body = Enrolment)), security(("bearer" = [])))]
#[post("/me/second-factor")]
async fn begin_second_factor(
    caller: Caller,
    form: Form<Empty>,
    seal: web::Data<Secret>,
) -> Result<HttpResponse, Problem> {
    caller.require_own_sign_in()?;
    let done = caller.write_secret(form.bytes, move |conn, caller| {
        let shown = Answer::ok(&second_factor::begin(conn, caller, &seal)?)?;
        let kept = Answer::nothing();
        Ok(Disclosed { shown, kept })
    });
    done.await
}

/// A code of an authenticator.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct FactorCode {
    /// The code.
    #[garde(custom(text::line::<40>))]
    code: String,
}

/// What to write down for the day the authenticator is lost.
#[derive(Debug, Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each is taken once in place of a code. Shown once.
    recovery_codes: Vec<String>,
}

/// Confirm the second factor with a code
#[utoipa::path(tag = "auth", request_body = FactorCode, responses((status = 200, body = RecoveryCodes)), security(("bearer" = [])))]
#[post("/me/second-factor/confirm")]
async fn confirm_second_factor(
    caller: Caller,
    form: Form<FactorCode>,
    seal: web::Data<Secret>,
) -> Result<HttpResponse, Problem> {
    caller.require_own_sign_in()?;
    let Form { value, bytes } = form;
    let done = caller.write_secret(bytes, move |conn, caller| {
        let recovery_codes = second_factor::confirm(conn, caller, &value.code, &seal)?;
        let shown = Answer::ok(&RecoveryCodes { recovery_codes })?;
        let kept = Answer::nothing();
        Ok(Disclosed { shown, kept })
    });
    done.await
}

/// Remove the second factor, with a code of it
#[utoipa::path(operation_id = "remove_my_second_factor", tag = "auth", request_body = FactorCode, responses((status = 204, description = "it is gone")), security(("bearer" = [])))]
#[delete("/me/second-factor")]
async fn remove_second_factor(
    caller: Caller,
    form: Form<FactorCode>,
    seal: web::Data<Secret>,
) -> Result<HttpResponse, Problem> {
    caller.require_own_sign_in()?;
    let Form { value, bytes } = form;
    let attempt = caller.attempt(attempts::code).await?;
    let done = caller.write(bytes, move |conn, caller| {
        second_factor::remove(conn, caller, &value.code, &seal)?;
        attempt.succeeded(conn)?;
        Ok(Answer::nothing())
    });
    done.await
}

/// Whose password is lost.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Lost {
    /// The address.
    #[garde(custom(text::line::<254>))]
    email: String,
}

/// Ask for a new password; the answer is the same for an unknown address
#[utoipa::path(tag = "auth", request_body = Lost, responses((status = 202, description = "a mail is on its way, if there is such an account")))]
#[post("/auth/password-reset")]
async fn ask_reset(
    form: Form<Lost>,
    client: Client,
    db: web::Data<Db>,
    clock: web::Data<Clock>,
    seal: web::Data<Secret>,
    bell: web::Data<Bell>,
) -> Result<HttpResponse, Problem> {
    let now = clock.now().into();
    if let Some(email) = text::email_address(&form.value.email) {
        db.write(Scope::of_system(), move |conn| {
            attempts::mail(conn, client.address, now)?;
            passwords::ask_reset(conn, &email, client.address, &seal, now)
        })
        .await?;
        bell.ring();
    }
    Ok(HttpResponse::Accepted().finish())
}

/// A password by the token of a mail.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// From the link of the mail.
    #[garde(custom(text::line::<200>))]
    token: String,
    /// 12 to 200 characters.
    #[garde(length(chars, min = 12, max = 200), custom(text::line::<200>))]
    password: String,
}

/// Set a password with the token of an invitation or of a reset; all sessions end
#[utoipa::path(tag = "auth", request_body = NewPassword, responses((status = 204, description = "it is set")))]
#[post("/auth/password")]
async fn set_password(
    form: Form<NewPassword>,
    client: Client,
    db: web::Data<Db>,
    clock: web::Data<Clock>,
    bell: web::Data<Bell>,
) -> Result<HttpResponse, Problem> {
    let now = clock.now().into();
    let NewPassword { token, password } = form.value;
    let asked = token.clone();
    // A hash is dear: not for whoever only guesses.
    if !db
        .read(Scope::of_system(), move |conn| {
            passwords::is_good(conn, &asked, now)
        })
        .await?
    {
        return Err(passwords::token_is_bad());
    }
    let hash = password::hash(password).await?;
    db.write(Scope::of_system(), move |conn| {
        passwords::set(conn, &token, &hash, client.address, now)
    })
    .await?;
    bell.ring();
    Ok(HttpResponse::NoContent().finish())
}

/// The token of an invitation.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invitation {
    /// From the link of the mail.
    #[garde(custom(text::line::<200>))]
    token: String,
}

/// Accept an invitation with an account that there is already
#[utoipa::path(tag = "auth", request_body = Invitation, responses((status = 204, description = "it is accepted")))]
#[post("/auth/invitation")]
async fn accept_invitation(
    form: Form<Invitation>,
    client: Client,
    db: web::Data<Db>,
    clock: web::Data<Clock>,
    bell: web::Data<Bell>,
) -> Result<HttpResponse, Problem> {
    let now = clock.now().into();
    let token = form.value.token;
    db.write(Scope::of_system(), move |conn| {
        passwords::accept(conn, &token, client.address, now)
    })
    .await?;
    bell.ring();
    Ok(HttpResponse::NoContent().finish())
}
