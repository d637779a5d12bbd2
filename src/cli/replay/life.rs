//! The life of a ticket: which calls each activity of the log comes to, as a pure table.
//!
//! The states are those of a service request. `oracle.rs` says the same end states in another way.

/// What an activity says about the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// An agent has it.
    TakeInCharge,
    /// The customer is waited for.
    Wait,
    /// It is solved.
    Resolve,
    /// It is over for good.
    Close,
    /// Nothing: the activity is one of the others that desks write down, or was never seen before.
    Other,
}

impl Activity {
    /// Reads the word of the log. Letter case matters: desks also log `RESOLVED`, which is another system's.
    pub fn of(word: &str) -> Self {
        match word.trim() {
            "Take in charge ticket" | "Take in charge" => Self::TakeInCharge,
            "Wait" => Self::Wait,
            "Resolve ticket" => Self::Resolve,
            "Closed" => Self::Close,
            _ => Self::Other,
        }
    }
}

/// The states of a request that a log can bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In the line.
    Queued,
    /// An agent has it.
    InProgress,
    /// The customer is waited for.
    PendingCustomer,
    /// Solved.
    Resolved,
    /// Over; only a follow-up goes on.
    Closed,
}

/// One call about the last request of a ticket. Agents are numbers, in the order of the plan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The customer files the request.
    File,
    /// The customer files a request that follows up the last one, which is closed.
    FollowUp,
    /// The agent takes it.
    Assign(usize),
    /// The agent says to the customer that it was taken: the first word.
    Answer,
    /// Pending customer ends.
    Resume,
    /// Resolved ends.
    Reopen,
    /// The customer is asked.
    AwaitCustomer,
    /// It is solved.
    Resolve,
    /// It is over.
    Close,
}

impl Call {
    /// Whether the customer reads what an agent says with it.
    pub fn is_heard(self) -> bool {
        matches!(self, Self::Answer | Self::AwaitCustomer | Self::Resolve)
    }
}

/// How far a ticket's last request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    state: State,
    assignee: Option<usize>,
    is_answered: bool,
}

impl Life {
    /// What was just filed.
    fn filed() -> Self {
        Self {
            state: State::Queued,
            assignee: None,
            is_answered: false,
        }
    }

    /// The life begins: the ticket is filed, and the activity of its first event applied.
    pub fn begin(activity: Activity, agent: usize) -> (Self, Vec<Call>) {
        let mut life = Self::filed();
        let mut calls = vec![Call::File];
        life.apply(activity, agent, &mut calls);
        (life, calls)
    }

    /// The calls that the next event comes to; none when the state is so already, or nothing is said about it.
    pub fn go_on(&mut self, activity: Activity, agent: usize) -> Vec<Call> {
        let mut calls = Vec::new();
        self.apply(activity, agent, &mut calls);
        calls
    }

    fn apply(&mut self, activity: Activity, agent: usize, calls: &mut Vec<Call>) {
        let says_closed = matches!(activity, Activity::Close | Activity::Other);
        if self.state == State::Closed && !says_closed {
            *self = Self::filed();
            calls.push(Call::FollowUp);
        }
        match activity {
            Activity::TakeInCharge => self.take(agent, calls),
            Activity::Wait => self.wait(calls),
            Activity::Resolve => self.resolve(calls),
            Activity::Close => self.close(calls),
            Activity::Other => {}
        }
    }

    fn take(&mut self, agent: usize, calls: &mut Vec<Call>) {
        self.reopen(calls);
        if self.state == State::PendingCustomer {
            // Whose assignee is on duty goes on; without one it is queued again.
            let next = if self.assignee.is_some() {
                State::InProgress
            } else {
                State::Queued
            };
            self.step(Call::Resume, next, calls);
        }
        if (self.state, self.assignee) != (State::InProgress, Some(agent)) {
            self.step(Call::Assign(agent), State::InProgress, calls);
            self.assignee = Some(agent);
        }
        if !self.is_answered {
            self.step(Call::Answer, self.state, calls);
        }
    }

    fn wait(&mut self, calls: &mut Vec<Call>) {
        self.reopen(calls);
        if self.state != State::PendingCustomer {
            self.step(Call::AwaitCustomer, State::PendingCustomer, calls);
        }
    }

    fn resolve(&mut self, calls: &mut Vec<Call>) {
        if self.state != State::Resolved {
            self.step(Call::Resolve, State::Resolved, calls);
        }
    }

    fn close(&mut self, calls: &mut Vec<Call>) {
        if self.state != State::Closed {
            self.resolve(calls);
            self.step(Call::Close, State::Closed, calls);
        }
    }

    fn reopen(&mut self, calls: &mut Vec<Call>) {
        if self.state == State::Resolved {
            self.assignee = None;
            self.step(Call::Reopen, State::Queued, calls);
        }
    }

    fn step(&mut self, call: Call, state: State, calls: &mut Vec<Call>) {
        calls.push(call);
        self.state = state;
        self.is_answered |= call.is_heard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Close, Other, Resolve, TakeInCharge, Wait};

    /// The calls that a life comes to, all of them one after another.
    fn calls(events: &[(Activity, usize)]) -> Vec<Call> {
        let (first, later) = events.split_first().unwrap();
        let (mut life, mut calls) = Life::begin(first.0, first.1);
        for (activity, agent) in later {
            calls.extend(life.go_on(*activity, *agent));
        }
        calls
    }

    #[test]
    fn words_are_taken_as_they_are_written() {
        for (word, activity) in [
            ("Take in charge ticket", TakeInCharge),
            (" Closed ", Close),
            ("Resolve ticket", Resolve),
            ("Wait", Wait),
            ("RESOLVED", Other),
            ("CLOSED", Other),
            ("Resolve SW anomaly", Other),
            ("", Other),
        ] {
            assert_eq!(Activity::of(word), activity, "{word:?}");
        }
    }

    #[test]
    fn a_plain_life() {
        assert_eq!(
            calls(&[
                (Other, 1),
                (TakeInCharge, 1),
                (Wait, 1),
                (TakeInCharge, 1),
                (Resolve, 1),
                (Close, 2)
            ]),
            [
                Call::File,
                Call::Assign(1),
                Call::Answer,
                Call::AwaitCustomer,
                Call::Resume,
                Call::Resolve,
                Call::Close
            ]
        );
    }

    #[test]
    fn odd_lives() {
        use Call::{Answer, AwaitCustomer, File, FollowUp, Reopen, Resume};
        type Case<'a> = (&'a [(Activity, usize)], &'a [Call]);
        let cases: &[Case<'_>] = &[
            (&[(Close, 0)], &[File, Call::Resolve, Call::Close]),
            (
                &[(Close, 0), (Close, 1), (Other, 1)],
                &[File, Call::Resolve, Call::Close],
            ),
            (&[(Wait, 0), (Wait, 0)], &[File, AwaitCustomer]),
            (
                &[(Wait, 0), (TakeInCharge, 3)],
                &[File, AwaitCustomer, Resume, Call::Assign(3)],
            ),
            (
                &[(TakeInCharge, 3), (TakeInCharge, 3)],
                &[File, Call::Assign(3), Answer],
            ),
            (
                &[(TakeInCharge, 3), (TakeInCharge, 4)],
                &[File, Call::Assign(3), Answer, Call::Assign(4)],
            ),
            (
                &[(TakeInCharge, 3), (Wait, 0), (TakeInCharge, 4)],
                &[
                    File,
                    Call::Assign(3),
                    Answer,
                    AwaitCustomer,
                    Resume,
                    Call::Assign(4),
                ],
            ),
            (
                &[(Resolve, 0), (Resolve, 0), (Wait, 0)],
                &[File, Call::Resolve, Reopen, AwaitCustomer],
            ),
            (
                &[(TakeInCharge, 3), (Resolve, 3), (TakeInCharge, 3)],
                &[
                    File,
                    Call::Assign(3),
                    Answer,
                    Call::Resolve,
                    Reopen,
                    Call::Assign(3),
                ],
            ),
            (
                &[(Close, 0), (Resolve, 0), (Close, 0), (TakeInCharge, 2)],
                &[
                    File,
                    Call::Resolve,
                    Call::Close,
                    FollowUp,
                    Call::Resolve,
                    Call::Close,
                    FollowUp,
                    Call::Assign(2),
                    Answer,
                ],
            ),
        ];
        for (events, expected) in cases {
            assert_eq!(calls(events), *expected, "{events:?}");
        }
    }
}
