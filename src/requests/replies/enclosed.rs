//! The files that come with a letter: each is kept or left out, and which is said in its comment.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::actions::{self, Answer, Welcome};
use super::verdict::Refusal;
use crate::db::Connection;
use crate::identity::Correspondence;
use crate::problem::Problem;
use crate::requests;
use crate::requests::attachments::limits::{self, LeftOut};
use crate::requests::attachments::{self, Attachment, Described, Shelf, State};
use crate::settings::Files;

/// The files of a letter, in its order.
#[derive(Clone, Debug, Default)]
pub struct Enclosed(Vec<(Attachment, Result<(), LeftOut>)>);

impl Enclosed {
    /// Those that are kept.
    pub fn kept(&self) -> Vec<Attachment> {
        let kept = self.0.iter().filter(|(_, is_kept)| is_kept.is_ok());
        kept.map(|(row, _)| row.clone()).collect()
    }

    /// What the comment says of them, and of as many more as were not looked at.
    pub fn words(&self, more: usize) -> String {
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for (row, is_kept) in &self.0 {
            match is_kept {
                Ok(()) => kept.push(row.name.clone()),
                Err(why) => left_out.push(format!("{} ({})", row.name, why.said())),
            }
        }
        if more > 0 {
            left_out.push(format!("{more} more ({})", LeftOut::TooMany.said()));
        }
        let mut words = String::new();
        for (what, names) in [("Files", kept), ("Files that were left out", left_out)] {
            if !names.is_empty() {
                words += &format!("\n\n[{what}: {}]", names.join(", "));
            }
        }
        words
    }
}

/// Puts away the files of a letter, if it is welcome: they are there before the comment that they come with. Whoever dies
/// before that leaves what is swept up.
pub async fn put_away(
    within: &Correspondence,
    (shelf, limits): &(Shelf, Files),
    answer: &Answer,
) -> Result<Result<Enclosed, Refusal>, Problem> {
    if answer.arrival.letter.files.is_empty() {
        return Ok(Ok(Enclosed::default()));
    }
    let rows = described(within, answer).await?;
    let (shared, limits) = (answer.clone(), limits.clone());
    let announced = within.write(answer.row.tenant_id, move |conn, within| {
        match actions::judge(conn, within, &shared)? {
            Err(refusal) => Ok(Err(refusal)),
            Ok(Welcome::Known) => Ok(Ok(Enclosed::default())),
            Ok(_) => announce(conn, &shared, &rows, &limits).map(Ok),
        }
    });
    let enclosed = match announced.await? {
        Ok(enclosed) => enclosed,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for ((row, is_kept), file) in enclosed.0.iter().zip(&answer.arrival.letter.files) {
        if is_kept.is_ok() {
            shelf.put(row, file.bytes.clone().into()).await?;
        }
    }
    Ok(Ok(enclosed))
}

/// Looks through the files aside, as they may be large.
async fn described(within: &Correspondence, answer: &Answer) -> Result<Vec<Attachment>, Problem> {
    let (whose, now) = ((answer.row.tenant_id, answer.request), within.now());
    let arrival = Arc::clone(&answer.arrival);
    let look = move || {
        let files = arrival.letter.files.iter();
        let described = files.map(|file| Described::of(&file.name, &file.bytes));
        described
            .map(|file| Ok(Attachment::arriving(whose, &file?, now)))
            .collect()
    };
    spawn_blocking(look).await.map_err(Problem::internal)?
}

/// Decides which are kept, and writes these down.
fn announce(
    conn: &mut Connection,
    answer: &Answer,
    rows: &[Attachment],
    limits: &Files,
) -> Result<Enclosed, Problem> {
    let whose = (answer.row.tenant_id, answer.request);
    let request = requests::store::find(conn, whose.0, whose.1)?;
    if !request.is_some_and(|request| request.takes_words()) {
        // So the letter is refused in a moment.
        return Ok(Enclosed::default());
    }
    let used = attachments::store::used(conn, whose, &[State::Kept])?;
    let sizes = answer.arrival.letter.files.iter().map(|file| file.bytes.len());
    let decided = limits::of_mail(&sizes.collect::<Vec<_>>(), used, limits);
    let enclosed = Enclosed(rows.iter().cloned().zip(decided).collect());
    attachments::store::create(conn, &enclosed.kept())?;
    Ok(enclosed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Id, Moment};

    #[test]
    fn a_comment_says_what_became_of_each_file() {
        let now = Moment::from(chrono::DateTime::UNIX_EPOCH);
        let file = |name: &str| {
            let described = Described::of(name, b"x").unwrap();
            Attachment::arriving((Id::at(now), Id::at(now)), &described, now)
        };
        let none = Enclosed::default();
        assert_eq!((none.words(0), none.kept().len()), (String::new(), 0));
        let some = Enclosed(vec![
            (file("../a.txt"), Ok(())),
            (file("film.mp4"), Err(LeftOut::TooLarge)),
            (file("b.txt"), Ok(())),
        ]);
        assert_eq!(
            some.words(2),
            "\n\n[Files: a.txt, b.txt]\n\n[Files that were left out: film.mp4 (too large), 2 more (too many files)]"
        );
        assert_eq!(some.kept().len(), 2);
    }
}
