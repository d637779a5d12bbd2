//! The play: one event after the other, each at its instant, and what follows of it before the next one.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use indicatif::ProgressBar;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::SimulateError;
use super::agenda::Agenda;
use super::behind;
use super::books::Books;
use super::cases::{Cases, Place};
use super::load::{self, Load};
use super::stage::{Desk, Stage};
use super::timetable::Timetable;
use crate::cli::client::{Answer, Refused};
use crate::cli::host::Host;

/// How often mail goes out and the watch looks, where nothing else happens.
const ROUND: TimeDelta = TimeDelta::hours(1);
/// The same in a storm.
const GUST: TimeDelta = TimeDelta::minutes(5);

/// What happens. Cases, people and leaves by their places; work is of no use any more when it has gone to other hands.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A request is filed.
    File(usize),
    /// Somebody at the desk looks for work.
    Look(usize),
    /// The first answer is written.
    Reply(usize, u32),
    /// The work is done.
    Finish(usize, u32),
    /// The customer answers a question.
    Answer(usize),
    /// The customer does not.
    GiveUp(usize),
    /// The customer asks what is going on.
    Chase(usize),
    /// The customer says that it is not solved.
    Reopen(usize),
    /// A team changes.
    Change,
    /// Somebody has a break.
    Away(usize),
    /// The break is over.
    Back(usize),
    /// Somebody says that they will be away, or are.
    Leave(usize),
    /// The timetable is read on.
    Week,
    /// Mail goes out, and the watch looks.
    Round,
    /// The same in the storm.
    Gust,
    /// The storm takes its course.
    Storm(Phase),
}

/// The course of the storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The incident is opened.
    Opens,
    /// There is news.
    News,
    /// It is over.
    Ends,
}

/// Somebody at the desk, as they are.
#[derive(Clone, Debug, Default)]
pub struct Hands {
    /// What they are at.
    pub at: Option<usize>,
    /// What came back to them, first things first.
    pub todo: Vec<usize>,
    /// Whether they are about to look for work.
    pub is_called: bool,
    /// Whether they have a break.
    pub is_away: bool,
    /// Since when they have had nothing to do.
    pub idle_since: Option<DateTime<Utc>>,
}

/// The simulation.
pub struct Simulation<'a> {
    /// The server.
    pub host: &'a Host,
    /// Everybody.
    pub stage: Stage,
    /// What the world does.
    pub load: Load,
    /// What comes next.
    pub agenda: Agenda<What>,
    /// The small dice: pauses, breaks.
    pub dice: StdRng,
    /// How every case is.
    pub cases: Cases,
    /// How everybody is.
    pub hands: Vec<Hands>,
    /// Who is on duty when.
    pub timetable: Timetable,
    /// What was seen.
    pub books: Books,
    /// The incident of the storm, once it is opened.
    pub incident: Option<String>,
    /// Whether the storm is over.
    pub is_calm: bool,
    /// When it is.
    pub now: DateTime<Utc>,
    end: DateTime<Utc>,
    watched: DateTime<Utc>,
    changes: BTreeSet<DateTime<Utc>>,
}

impl<'a> Simulation<'a> {
    /// Everything at its beginning.
    pub fn new(host: &'a Host, stage: Stage, load: Load, seed: u64, size: load::Size) -> Self {
        let days = usize::try_from(size.days).unwrap_or_default();
        let now = host.clock.now();
        let mut agenda = Agenda::beginning(now);
        for (place, case) in load.cases.iter().enumerate() {
            agenda.enter(case.at, What::File(place));
        }
        for (place, leave) in load.leaves.iter().enumerate() {
            agenda.enter(leave.asked, What::Leave(place));
        }
        if let Some(storm) = load.storm {
            agenda.enter(storm, What::Storm(Phase::Opens));
        }
        agenda.enter(size.from, What::Week);
        agenda.enter(size.from, What::Round);
        Self {
            books: Books::new(size.from, days, stage.people.len(), load.storm),
            cases: Cases::new(load.cases.len()),
            hands: vec![Hands::default(); stage.people.len()],
            dice: StdRng::seed_from_u64(seed.wrapping_add(1)),
            timetable: Timetable::default(),
            incident: None,
            is_calm: true,
            end: size.from + TimeDelta::days(i64::from(size.days)),
            watched: size.from,
            changes: BTreeSet::new(),
            now,
            host,
            stage,
            load,
            agenda,
        }
    }

    /// Plays to the end.
    pub async fn play(&mut self, bar: &ProgressBar) -> Result<(), SimulateError> {
        while let Some((at, what)) = self.agenda.next() {
            if at >= self.end {
                break;
            }
            self.until(at).await?;
            self.stand_at(at);
            self.happen(what).await?;
            if !matches!(what, What::File(place) if self.is_of_storm(place)) {
                behind::react(self.host).await?;
            }
            bar.set_position(u64::try_from((at - self.begin()).num_hours()).unwrap_or_default());
        }
        self.until(self.end).await?;
        self.stand_at(self.end);
        self.count_duty();
        behind::watch(self.host).await?;
        behind::post(self.host).await?;
        Ok(behind::tidy(self.host).await?)
    }

    fn begin(&self) -> DateTime<Utc> {
        self.end - TimeDelta::days(i64::try_from(self.books.days.len()).unwrap_or_default())
    }

    fn stand_at(&mut self, at: DateTime<Utc>) {
        self.now = at;
        self.host.clock.set(at);
    }

    /// Stops at every instant before `at` at which time alone makes something due.
    async fn until(&mut self, at: DateTime<Utc>) -> Result<(), SimulateError> {
        let mut last = None;
        while let Some(due) = behind::due(self.host).await?.filter(|due| *due < at) {
            if last == Some(due) {
                break;
            }
            last = Some(due);
            self.stand_at(due.max(self.now));
            behind::react(self.host).await?;
            self.watch().await?;
        }
        Ok(())
    }

    async fn happen(&mut self, what: What) -> Result<(), SimulateError> {
        match what {
            What::File(place) => self.file(place).await,
            What::Look(person) => self.look(person).await,
            What::Reply(place, turn) => self.reply(place, turn).await,
            What::Finish(place, turn) => self.finish(place, turn).await,
            What::Answer(place) => self.answer(place).await,
            What::GiveUp(place) => self.give_up(place).await,
            What::Chase(place) => self.chase(place).await,
            What::Reopen(place) => self.reopen(place).await,
            What::Change => self.change().await,
            What::Away(person) => self.pause(person, true).await,
            What::Back(person) => self.pause(person, false).await,
            What::Leave(place) => self.leave(place).await,
            What::Week => {
                self.agenda.enter(self.now + TimeDelta::days(7), What::Week);
                self.read_timetable().await
            }
            What::Round => {
                self.agenda.enter(self.now + ROUND, What::Round);
                self.round().await
            }
            What::Gust if self.is_calm => Ok(()),
            What::Gust => {
                self.agenda.enter(self.now + GUST, What::Gust);
                self.round().await?;
                self.ask_for_stranded().await
            }
            What::Storm(phase) => self.storm(phase).await,
        }
    }

    /// Reads the timetable on, and enters the changes of teams that are new in it.
    pub async fn read_timetable(&mut self) -> Result<(), SimulateError> {
        self.count_duty();
        let is_first = self.changes.is_empty();
        self.timetable = Timetable::read(&self.stage, self.now).await?;
        for at in self.timetable.changes(self.now) {
            if self.changes.insert(at) {
                self.agenda.enter(at, What::Change);
            }
        }
        if is_first {
            self.change().await?;
        }
        Ok(())
    }

    /// A team has changed: what those had who went is in the line, and those who came look at it.
    pub async fn change(&mut self) -> Result<(), SimulateError> {
        self.count_duty();
        behind::watch(self.host).await?;
        for (place, person) in self.cases.in_hands() {
            let desk = self.cases.of(place).desk;
            if !self.timetable.team(desk, self.now).contains(&person) {
                self.books.handed_over += 1;
                self.put(place, Place::Line);
            }
        }
        for person in 0..self.hands.len() {
            let is_there = self.is_on_duty(person);
            let Some(hands) = self.hands.get_mut(person) else {
                continue;
            };
            if !is_there {
                hands.idle_since = None;
            } else if hands.idle_since.is_none() && hands.at.is_none() {
                hands.idle_since = Some(self.now);
                let pause = self.dice.random_range(160..300);
                self.agenda
                    .enter(self.now + TimeDelta::minutes(pause), What::Away(person));
            }
        }
        self.given().await?;
        self.wake(Desk::Front);
        self.ask_for_stranded().await
    }

    /// Lets the watch look; what it gave out or moved is seen.
    pub async fn watch(&mut self) -> Result<(), SimulateError> {
        if behind::watch(self.host).await? {
            self.given().await?;
            self.wake(Desk::Front);
        }
        Ok(())
    }

    async fn round(&mut self) -> Result<(), SimulateError> {
        self.watch().await?;
        self.books.look(self.now);
        behind::post(self.host).await?;
        if self.now.hour() == 0 {
            behind::tidy(self.host).await?;
        }
        Ok(())
    }

    async fn ask_for_stranded(&mut self) -> Result<(), SimulateError> {
        let answer = self.stage.operator.get("/v1/reports/stranded").await?;
        let count = |group: &serde_json::Value| group.get("count").and_then(serde_json::Value::as_u64);
        self.books.stranded(answer.items().iter().filter_map(count).sum());
        Ok(())
    }

    /// Adds the time since the last look to everybody who was on duty in it.
    fn count_duty(&mut self) {
        let (from, to) = (self.watched, self.now.min(self.end));
        self.watched = to;
        for desk in Desk::ALL {
            for person in self.timetable.team(desk, from).to_vec() {
                if let Some(page) = self.books.people.get_mut(person) {
                    page.on_duty += to - from;
                }
            }
        }
    }

    /// The desk at which somebody works.
    pub fn desk_of(&self, person: usize) -> Desk {
        self.stage
            .people
            .get(person)
            .map_or(Desk::Front, |person| person.desk)
    }

    /// Whether somebody is on duty.
    pub fn is_on_duty(&self, person: usize) -> bool {
        self.timetable
            .team(self.desk_of(person), self.now)
            .contains(&person)
    }

    /// Whether a case is part of the storm.
    pub fn is_of_storm(&self, place: usize) -> bool {
        self.load
            .cases
            .get(place)
            .is_some_and(|case| case.topic == load::Topic::Storm)
    }

    /// A case is somewhere else now.
    pub fn put(&mut self, place: usize, to: Place) {
        let left = self.cases.put(place, to);
        if let Place::Hands(person) = left
            && let Some(hands) = self.hands.get_mut(person)
        {
            hands.todo.retain(|other| *other != place);
            if hands.at == Some(place) {
                hands.at = None;
            }
        }
        self.books.open(self.now, self.cases.open());
    }

    /// What a call came to; a refusal is counted, and no answer at all ends the simulation.
    pub fn counted(&mut self, answer: Result<Answer, Refused>) -> Result<Option<Answer>, SimulateError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(refused) if refused.is_unreachable() => Err(refused.into()),
            Err(refused) => {
                self.books.refused(&refused.code);
                Ok(None)
            }
        }
    }
}
