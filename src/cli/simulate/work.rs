//! What the people at the desk do: look for work, answer, ask, resolve, hold what the storm holds, have a break.

use chrono::TimeDelta;
use rand::Rng as _;
use serde_json::{Value, json};

use super::SimulateError;
use super::cases::Place;
use super::load::Question;
use super::run::{Simulation, What};
use super::stage::Desk;
use crate::cli::client::{Answer, Session};

/// How long a break is.
const BREAK: TimeDelta = TimeDelta::minutes(30);
/// How long an answer of the customer is waited for.
const PATIENCE: TimeDelta = TimeDelta::days(3);

impl Simulation<'_> {
    /// Calls those who have had nothing to do for longest, as many as there is work for.
    pub fn wake(&mut self, desk: Desk) {
        let waiting = self.cases.line(desk).len();
        let team = self.timetable.team(desk, self.now).to_vec();
        let called = |person: &&usize| self.hands.get(**person).is_some_and(|hands| hands.is_called);
        let wanted = waiting.saturating_sub(team.iter().filter(called).count());
        let mut free: Vec<_> = team
            .iter()
            .filter_map(|person| {
                let hands = self.hands.get(*person)?;
                let is_free = !hands.is_called && !hands.is_away && hands.at.is_none();
                is_free.then_some((hands.idle_since, *person))
            })
            .collect();
        free.sort_unstable();
        for (_, person) in free.into_iter().take(wanted) {
            self.call(person);
        }
    }

    /// Somebody looks for work in a minute or so.
    fn call(&mut self, person: usize) {
        let pause = TimeDelta::seconds(self.dice.random_range(15..90));
        if let Some(hands) = self.hands.get_mut(person).filter(|hands| !hands.is_called) {
            hands.is_called = true;
            self.agenda.enter(self.now + pause, What::Look(person));
        }
    }

    /// Somebody looks for work: first what came back to them, then the line.
    pub async fn look(&mut self, person: usize) -> Result<(), SimulateError> {
        let (is_there, desk) = (self.is_on_duty(person), self.desk_of(person));
        let Some(hands) = self.hands.get_mut(person) else {
            return Ok(());
        };
        hands.is_called = false;
        if !is_there || hands.at.is_some() {
            return Ok(());
        }
        if let Some(next) = hands.todo.first().copied() {
            self.set_to_work(person, next);
            return Ok(());
        }
        if hands.is_away || desk == Desk::Specialists || self.cases.line(desk).is_empty() {
            hands.idle_since.get_or_insert(self.now);
            return Ok(());
        }
        match self.claim(person).await? {
            Some(place) => {
                self.put(place, Place::Hands(person));
                self.set_to_work(person, place);
            }
            None => {
                let now = self.now;
                if let Some(hands) = self.hands.get_mut(person) {
                    hands.idle_since = Some(now);
                }
            }
        }
        Ok(())
    }

    async fn claim(&mut self, person: usize) -> Result<Option<usize>, SimulateError> {
        let Some(session) = self.session(person) else {
            return Ok(None);
        };
        let path = format!("/v1/queues/{}/claim", self.stage.front);
        let answer = session.post(&path, &json!({}), None).await;
        let Some(answer) = self.counted(answer)? else {
            return Ok(None);
        };
        let claimed = self.cases.find(answer.text("/service_request/id"));
        if let Some(place) = claimed {
            self.cases.of_mut(place).desk = Desk::Front;
            self.took(person);
        }
        Ok(claimed)
    }

    fn took(&mut self, person: usize) {
        if let Some(page) = self.books.people.get_mut(person) {
            page.taken += 1;
        }
    }

    /// Somebody begins with a case that is theirs, or goes on with it.
    fn set_to_work(&mut self, person: usize, place: usize) {
        let Some(course) = self.load.cases.get(place) else {
            return;
        };
        let (answer, work) = (course.answer, course.work);
        let case = self.cases.of(place);
        let next = match case.is_answered {
            false => (self.now + answer, What::Reply(place, case.turn)),
            true => (self.now + work, What::Finish(place, case.turn)),
        };
        if let Some(hands) = self.hands.get_mut(person) {
            hands.todo.retain(|other| *other != place);
            (hands.at, hands.idle_since) = (Some(place), None);
        }
        self.agenda.enter(next.0, next.1);
    }

    /// Somebody has nothing in hand any more.
    fn free(&mut self, person: usize) {
        let desk = self.desk_of(person);
        let is_waited_for = !self.cases.line(desk).is_empty() && desk == Desk::Front;
        let now = self.now;
        let Some(hands) = self.hands.get_mut(person) else {
            return;
        };
        hands.at = None;
        hands.idle_since = Some(now);
        if is_waited_for || !hands.todo.is_empty() {
            self.call(person);
        }
    }

    /// In whose hands a case is, if it is still the same turn.
    fn holder(&self, place: usize, turn: u32) -> Option<usize> {
        let case = self.cases.of(place);
        match case.place {
            Place::Hands(person) if case.turn == turn => Some(person),
            _ => None,
        }
    }

    /// The first answer.
    pub async fn reply(&mut self, place: usize, turn: u32) -> Result<(), SimulateError> {
        let Some(person) = self.holder(place, turn) else {
            return Ok(());
        };
        let form = json!({ "body": "Thank you. I am looking at it." });
        if self.act(person, place, "comments", &form).await?.is_some() {
            self.cases.of_mut(place).is_answered = true;
        }
        let work = self
            .load
            .cases
            .get(place)
            .map(|case| case.work)
            .unwrap_or_default();
        self.agenda.enter(self.now + work, What::Finish(place, turn));
        Ok(())
    }

    /// The work is done: the customer is asked, or has the solution, or the end of the incident is waited for.
    pub async fn finish(&mut self, place: usize, turn: u32) -> Result<(), SimulateError> {
        let Some(person) = self.holder(place, turn) else {
            return Ok(());
        };
        let question = self.load.cases.get(place).and_then(|case| case.question);
        let to_ask = question.filter(|_| !self.cases.of(place).was_asked);
        if self.is_of_storm(place) && !self.is_calm {
            let form = json!({ "reason": "incident" });
            self.act(person, place, "hold", &form).await?;
            self.put(place, Place::Held);
        } else if let Some(question) = to_ask {
            let form = json!({ "body": "Since when, and for whom?" });
            self.act(person, place, "await-customer", &form).await?;
            self.cases.of_mut(place).was_asked = true;
            self.put(place, Place::Customer);
            let next = match question {
                Question::Answered(after) => (after, What::Answer(place)),
                Question::Unanswered => (PATIENCE, What::GiveUp(place)),
            };
            self.agenda.enter(self.now + next.0, next.1);
        } else {
            self.resolve(person, place).await?;
        }
        self.free(person);
        Ok(())
    }

    async fn resolve(&mut self, person: usize, place: usize) -> Result<(), SimulateError> {
        let form = json!({ "body": "This is solved." });
        self.act(person, place, "resolve", &form).await?;
        self.put(place, Place::Done);
        let after = self.load.cases.get(place).and_then(|case| case.reopened);
        if let Some(after) = after.filter(|_| !self.cases.of(place).was_reopened) {
            self.agenda.enter(self.now + after, What::Reopen(place));
        }
        Ok(())
    }

    /// The customer has not answered: whoever is on duty at the front makes an end of it.
    pub async fn give_up(&mut self, place: usize) -> Result<(), SimulateError> {
        let on_duty = self.timetable.team(Desk::Front, self.now).first().copied();
        match on_duty.filter(|_| self.cases.of(place).place == Place::Customer) {
            Some(person) => self.resolve(person, place).await,
            None => Ok(()),
        }
    }

    /// Somebody has a break, or is back.
    pub async fn pause(&mut self, person: usize, is_away: bool) -> Result<(), SimulateError> {
        let is_there = self.is_on_duty(person);
        let Some(session) = self.session(person).filter(|_| is_there || !is_away) else {
            return Ok(());
        };
        let form = json!({ "presence": if is_away { "away" } else { "available" } });
        let answer = session.put("/v1/me/presence", &form, Some("*")).await;
        self.counted(answer)?;
        if let Some(hands) = self.hands.get_mut(person) {
            hands.is_away = is_away;
        }
        if is_away {
            self.agenda.enter(self.now + BREAK, What::Back(person));
        } else {
            self.watch().await?;
            self.wake(Desk::Front);
        }
        Ok(())
    }

    /// Sees what the specialists were given, and what went to the front because none of them was there.
    pub async fn given(&mut self) -> Result<(), SimulateError> {
        let waiting: Vec<usize> = self.cases.line(Desk::Specialists).iter().copied().collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let path = format!(
            "/v1/service-requests?queue_id={}&open=true",
            self.stage.specialists
        );
        let open = self.stage.operator.list(&path).await?;
        for place in waiting {
            let id = self.cases.of(place).id.clone();
            let found = open
                .iter()
                .find(|request| request.get("id").and_then(Value::as_str) == Some(&id));
            let Some(found) = found else {
                self.cases.moved(place, Desk::Front);
                continue;
            };
            let assignee = found.pointer("/assignee/id").and_then(Value::as_str);
            let person = assignee.and_then(|id| self.stage.people.iter().position(|person| person.id == id));
            if let Some(person) = person {
                self.took(person);
                self.came_back(place, person);
            }
        }
        self.wake(Desk::Front);
        Ok(())
    }

    /// A case is in somebody's hands without their looking for it.
    pub fn came_back(&mut self, place: usize, person: usize) {
        self.put(place, Place::Hands(person));
        if let Some(hands) = self.hands.get_mut(person) {
            hands.todo.push(place);
            if hands.at.is_none() {
                self.call(person);
            }
        }
    }

    fn session(&self, person: usize) -> Option<Session> {
        self.stage.people.get(person).map(|person| person.session.clone())
    }

    async fn act(
        &mut self,
        person: usize,
        place: usize,
        verb: &str,
        form: &Value,
    ) -> Result<Option<Answer>, SimulateError> {
        let Some(session) = self.session(person) else {
            return Ok(None);
        };
        let path = format!("/v1/service-requests/{}/{verb}", self.cases.of(place).id);
        let answer = session.post(&path, form, Some("*")).await;
        self.counted(answer)
    }
}
