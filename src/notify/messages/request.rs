//! A request's own mail.

use super::words::{Line, RequestWords, Words};
use super::{Messages, typed};
use crate::db::Connection;
use crate::incidents;
use crate::mail::unsubscribe::What;
use crate::mail::{Content, Delivery, DeliveryKind};
use crate::notify::own_mail;
use crate::problem::Problem;
use crate::requests;
use crate::text::cleaned;

impl Messages {
    pub(super) fn request_mail(
        &self,
        conn: &mut Connection,
        delivery: &Delivery,
    ) -> Result<Content, Problem> {
        let id = delivery.request_id.ok_or_else(|| Problem::not_found("request"))?;
        let request = requests::store::find(conn, delivery.tenant_id, id)?;
        let request = request.ok_or_else(|| Problem::not_found("request"))?;
        let event = own_mail::event_of(conn, delivery)?.ok_or_else(|| Problem::not_found("event"))?;
        let comment = match own_mail::comment_id(&event) {
            Some(id) => requests::store::comment(conn, delivery.tenant_id, id)?,
            None => None,
        };
        // Only a mail that counts as telling of the incident names it (see `own_mail`).
        let incident = match delivery.incident_id {
            Some(id) => incidents::store::find(conn, id)?,
            None => None,
        };
        let author = comment
            .as_ref()
            .map_or_else(|| event.actor_name.clone(), |c| c.author_name.clone());
        let body = match delivery.kind {
            DeliveryKind::RequestReceived => Some(request.description),
            _ => comment.map(|comment| comment.body),
        };
        let mut frame = self.frame(delivery);
        // A watcher may be anybody whom somebody named.
        if delivery.kind == DeliveryKind::WatcherAdded {
            frame.unsubscribe = self.way_out(delivery, What::Request(request.id));
        }
        let line = self.line(request.reference, &request.subject);
        frame.link = Some(line.link);
        let words = RequestWords {
            frame,
            reference: line.reference,
            subject: line.subject,
            author: cleaned(&author),
            body: body.map(|body| typed::lines(&body)),
            incident: incident.map(|incident| cleaned(&incident.title)),
            at: self.language(delivery).time(event.at, &delivery.time_zone),
        };
        self.content(delivery, Words::Request(words), format!("request.{}", request.id))
    }

    /// A request as mail names it.
    pub(super) fn line(&self, reference: String, subject: &str) -> Line {
        Line {
            link: format!("{}/v1/service-requests/{reference}", self.public_url),
            reference,
            subject: cleaned(subject),
        }
    }
}
