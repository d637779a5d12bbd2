//! Mail about somebody's own account.

use super::Messages;
use super::words::{AccountWords, Words};
use crate::db::Connection;
use crate::identity::mailed;
use crate::mail::{Content, Delivery};
use crate::notify::{account_mail, own_mail};
use crate::problem::Problem;

impl Messages {
    pub(super) fn account_mail(
        &self,
        conn: &mut Connection,
        delivery: &Delivery,
    ) -> Result<Content, Problem> {
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let token = account_mail::token_id(&event);
        let page = account_mail::page(conn, &event)?;
        let language = self.language(delivery);
        let mut frame = self.frame(delivery);
        // Behind the number sign: a browser sends it to nobody.
        frame.link = token.map(|id| {
            let token = mailed::text(&self.seal, delivery.tenant_id, id);
            format!("{}/account/{page}#{token}", self.public_url)
        });
        let words = AccountWords {
            frame,
            said: language.word("said", delivery.kind.as_str()),
            at: language.time(event.at, &delivery.time_zone),
        };
        self.content(delivery, Words::Account(words), format!("account.{}", event.id))
    }
}
