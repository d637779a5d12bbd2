//! What became known in a day, of any incidents, to somebody who wants it together.

use super::Messages;
use super::status::Shared;
use super::words::{DigestWords, News, Words};
use crate::db::Connection;
use crate::mail::unsubscribe::What;
use crate::mail::{Content, Delivery};
use crate::problem::Problem;
use crate::text::cleaned;

/// How many updates a digest says: the last.
const SAID: usize = 50;

impl Messages {
    pub(super) fn digest_mail(
        &self,
        conn: &mut Connection,
        shared: &Shared,
        delivery: &Delivery,
    ) -> Result<Content, Problem> {
        let (said, more) = shared.carried(conn, delivery, SAID)?;
        let mut incidents: Vec<News> = Vec::new();
        for told in said {
            let link = self.link_to(&told.incident);
            let update = self.earlier(delivery, &told);
            match incidents.iter_mut().find(|news| news.link == link) {
                Some(news) => news.updates.push(update),
                None => incidents.push(News {
                    title: cleaned(&told.incident.title),
                    link,
                    updates: vec![update],
                }),
            }
        }
        let mut frame = self.frame(delivery);
        frame.unsubscribe = self.way_out(delivery, What::Everything);
        let words = DigestWords {
            frame,
            incidents,
            more,
        };
        self.content(
            delivery,
            Words::Digest(words),
            format!("digest.{}", delivery.tenant_id),
        )
    }
}
