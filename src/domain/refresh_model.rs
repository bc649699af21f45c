//! The rule of repeated refreshes and codes, held against every order of events that a small world allows.
//!
//! One grant, its client, a thief, two replicas, a database that carries out a statement at once, late or never, answers that are
//! lost, Redis that is lost, and a replica that is killed. The decisions are the service's own: [`judge`] of refresh tokens and
//! codes, and [`Unanswered`]. What the store does in SQL (rotate, spend, note) stands here once more in plain words.

use std::fmt;
use std::time::Duration;

use stateright::{Checker, Model, Property};
use uuid::Uuid;

use super::code::{self, Presented};
use super::pkce::{CodeChallenge, CodeVerifier};
use super::refresh::{self, judge};
use super::unanswered::Unanswered;
use super::{ClientId, CodeBinding, EndReason, Grant, GrantId, Stage, StoredCode, Timestamp};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const WINDOW: Duration = Duration::from_secs(10);
/// One step of time is within the window, two are not.
const TICK: Duration = Duration::from_secs(6);
const TICKS: u8 = 2;
const GENERATIONS: i64 = 3;

/// The time after so many steps.
fn at(ticks: u8) -> Timestamp {
    Timestamp::from_secs(1_000) + TICK * u32::from(ticks)
}

/// What the world may do, and what the service does about it.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that may happen, or not")]
#[derive(Clone, Copy, Debug)]
struct World {
    /// Whether a 503 is noted. Without notes it is the rule of before.
    notes: bool,
    thief: bool,
    redis_may_be_lost: bool,
    replicas_may_be_killed: bool,
}

/// What a holder shows: the code, or the refresh token of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    Code,
    Generation(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    Issued,
    Live { generation: i64, refreshed_at: u8, unanswered_at: Option<u8> },
    Ended,
}

/// A note, its times in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Note {
    generation: i64,
    from: u8,
    to: u8,
}

/// A statement whose sender no longer waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Statement {
    shown: Token,
    sent_at: u8,
}

#[expect(clippy::struct_excessive_bools, reason = "the checker enumerates them")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u8,
    row: Row,
    under_way: Option<Statement>,
    /// What each replica remembers, and what Redis does.
    memory: [Option<Note>; 2],
    redis: Option<Note>,
    redis_is_lost: bool,
    one_was_killed: bool,
    /// The replicas that do not reach the database: none, the first, or both.
    cut_off: usize,
    client: Token,
    /// The client was answered 503: it comes back at once, and again until it is answered.
    must_repeat: bool,
    thief: Option<Token>,
    client_is_out: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Answered,
    /// Answered 503 while the statement is under way.
    UnderWay503,
    /// Answered 503, and nothing was sent.
    NotSent503,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Refresh { by_thief: bool, replica: usize, fate: Fate },
    TimePasses,
    CarriesOut,
    IsDropped,
    WritesNote(usize),
    AreCutOff(usize),
    Steals,
    RedisIsLost,
    IsKilled(usize),
}

impl State {
    fn grant(&self) -> Grant {
        let stage = match self.row {
            Row::Issued => Stage::Issued { code_expires_at: at(TICKS + 1) },
            Row::Live { generation, refreshed_at, unanswered_at } => Stage::Live {
                generation,
                refreshed_at: at(refreshed_at),
                unanswered_at: unanswered_at.map(at),
                idle_expires_at: at(TICKS + 9),
            },
            Row::Ended => Stage::Ended { at: at(self.now), reason: EndReason::RefreshReplayed },
        };
        Grant::example(stage, at(TICKS + 9))
    }

    /// The one conditional statement: rotates or spends. Whether it found what it asks for.
    fn carry_out(&mut self, statement: Statement) -> bool {
        let (hit, next) = match (statement.shown, self.row) {
            (Token::Code, Row::Issued) => (true, 1),
            (Token::Generation(shown), Row::Live { generation, .. }) => (shown == generation, generation + 1),
            _ => (false, 0),
        };
        if hit {
            self.row = Row::Live { generation: next, refreshed_at: statement.sent_at, unanswered_at: None };
        }
        hit
    }

    /// What the decision is for a token that found nothing to rotate or spend. True: the current tokens are given again.
    fn gives_again(&self, shown: Token) -> Judged {
        let (now, client) = (at(self.now), ClientId("web".into()));
        match shown {
            Token::Generation(generation) => match judge(&self.grant(), &client, generation, now, WINDOW) {
                refresh::Verdict::GiveCurrentAgain => Judged::Again,
                refresh::Verdict::Replayed => Judged::Replayed,
                _ => Judged::Refused,
            },
            Token::Code => {
                let verifier = CodeVerifier::parse(VERIFIER).unwrap();
                let spent_at = match self.row {
                    Row::Live { refreshed_at, generation: 1, .. } => Some(at(refreshed_at)),
                    Row::Issued => None,
                    _ => Some(at(0)),
                };
                let binding = CodeBinding {
                    redirect_uri: String::new(),
                    challenge: Some(CodeChallenge::of(VERIFIER)),
                    nonce: None,
                };
                let code = StoredCode { grant: self.grant(), binding, spent_at };
                let shown = Presented { client: &client, verifier: Some(&verifier) };
                match code::judge(&code, shown, now, WINDOW) {
                    code::Verdict::GiveAgain => Judged::Again,
                    code::Verdict::Replayed => Judged::Replayed,
                    _ => Judged::Refused,
                }
            }
        }
    }

    fn fits(&self, note: Note) -> bool {
        let (grant, Note { generation, from, to }) = (GrantId(Uuid::nil()), note);
        Unanswered { grant, generation, from: at(from), to: at(to) }.fits(&self.grant())
    }

    fn write(&mut self, note: Note) -> bool {
        let fits = self.fits(note);
        let Row::Live { unanswered_at, .. } = &mut self.row else { return false };
        if fits {
            *unanswered_at = Some(self.now);
        }
        fits
    }

    fn note(&mut self, replica: usize, shown: Token) {
        let generation = match shown {
            Token::Code => 1,
            Token::Generation(generation) => generation + 1,
        };
        let one = Note { generation, from: self.now, to: self.now };
        let mut note = self.memory[replica].map_or(one, |noted| merged(noted, one));
        if !self.redis_is_lost {
            note = self.redis.map_or(note, |noted| merged(noted, note));
            self.redis = Some(note);
        }
        self.memory[replica] = Some(note);
    }

    fn current(&self) -> Option<Token> {
        match self.row {
            Row::Live { generation, .. } => Some(Token::Generation(generation)),
            Row::Issued | Row::Ended => None,
        }
    }

    /// A request that is answered. `None`: refused.
    fn answer(&mut self, world: World, replica: usize, shown: Token) -> Option<Token> {
        if self.carry_out(Statement { shown, sent_at: self.now }) {
            return self.current();
        }
        let mut judged = self.gives_again(shown);
        if world.notes && judged != Judged::Again {
            let notes = [self.memory[replica], self.redis];
            if let Some(note) = notes.into_iter().flatten().find(|note| self.fits(*note)) {
                self.write(note);
                judged = self.gives_again(shown);
            }
        }
        match judged {
            Judged::Again => return self.current(),
            Judged::Replayed => self.row = Row::Ended,
            Judged::Refused => {}
        }
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    Again,
    Replayed,
    Refused,
}

fn merged(a: Note, b: Note) -> Note {
    let full = |note: Note| Unanswered {
        grant: GrantId(Uuid::nil()),
        generation: note.generation,
        from: at(note.from),
        to: at(note.to),
    };
    let both = full(a).and(full(b));
    let ticks = |time: Timestamp| u8::try_from(time.since(at(0)).as_secs() / TICK.as_secs()).unwrap();
    Note { generation: both.generation, from: ticks(both.from), to: ticks(both.to) }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            row: Row::Issued,
            under_way: None,
            memory: [None; 2],
            redis: None,
            redis_is_lost: false,
            one_was_killed: false,
            cut_off: 0,
            client: Token::Code,
            must_repeat: false,
            thief: None,
            client_is_out: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for replica in 0..2 {
            for fate in [Fate::Answered, Fate::UnderWay503, Fate::NotSent503] {
                actions.push(Action::Refresh { by_thief: false, replica, fate });
                if state.thief.is_some() {
                    actions.push(Action::Refresh { by_thief: true, replica, fate });
                }
            }
            actions.push(Action::WritesNote(replica));
            if self.replicas_may_be_killed && !state.one_was_killed {
                actions.push(Action::IsKilled(replica));
            }
        }
        actions.extend([Action::TimePasses, Action::CarriesOut, Action::IsDropped]);
        actions.extend((0..=2).map(Action::AreCutOff));
        if self.thief && state.thief.is_none() && state.client != Token::Code {
            actions.push(Action::Steals);
        }
        if self.redis_may_be_lost && !state.redis_is_lost {
            actions.push(Action::RedisIsLost);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Refresh { by_thief, replica, fate } => {
                self.refresh(&mut state, by_thief, replica, fate)?;
            }
            Action::TimePasses => {
                state.now += 1;
                // A client that was answered 503 is answered as soon as a replica can.
                let waits = !state.must_repeat || state.cut_off > 0;
                (state.now <= TICKS && waits).then_some(())?;
            }
            Action::CarriesOut => {
                let statement = state.under_way.take()?;
                state.carry_out(statement);
            }
            Action::IsDropped => drop(state.under_way.take()?),
            Action::WritesNote(replica) => {
                let note = state.memory[replica].filter(|_| self.notes && replica >= state.cut_off)?;
                state.write(note).then(|| state.memory[replica] = None)?;
            }
            Action::AreCutOff(replicas) => state.cut_off = replicas,
            Action::Steals => state.thief = Some(state.client),
            Action::RedisIsLost => (state.redis, state.redis_is_lost) = (None, true),
            Action::IsKilled(replica) => (state.memory[replica], state.one_was_killed) = (None, true),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no client is logged out that does what it is told", |_, state: &State| {
                !state.client_is_out
            }),
            Property::always("of two who hold different tokens one is found out", |_, state: &State| {
                state.of_two_one_is_found_out()
            }),
            Property::sometimes("a client comes back after a 503 and goes on", |_, state: &State| {
                !state.must_repeat && matches!(state.row, Row::Live { unanswered_at: Some(_), .. })
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        !matches!(state.row, Row::Live { generation, .. } if generation > GENERATIONS)
    }
}

impl World {
    fn refresh(self, state: &mut State, by_thief: bool, replica: usize, fate: Fate) -> Option<()> {
        let shown = if by_thief { state.thief? } else { state.client };
        if matches!(state.row, Row::Ended) || state.client_is_out {
            return None;
        }
        let is_503 = fate != Fate::Answered;
        if is_503 != (replica < state.cut_off) {
            return None;
        }
        match fate {
            Fate::Answered => {
                let given = state.answer(self, replica, shown);
                match (by_thief, given) {
                    (true, given) => state.thief = given.or(state.thief),
                    (false, Some(token)) => state.client = token,
                    // With a thief about, to be logged out is what shall happen.
                    (false, None) => state.client_is_out = state.thief.is_none(),
                }
            }
            Fate::UnderWay503 if state.under_way.is_none() => {
                state.under_way = Some(Statement { shown, sent_at: state.now });
            }
            // What becomes of one statement is enough, and one that is dropped was never sent.
            Fate::NotSent503 if state.under_way.is_some() => {}
            Fate::UnderWay503 | Fate::NotSent503 => return None,
        }
        if is_503 {
            state.note(replica, shown);
        }
        if !by_thief {
            state.must_repeat = is_503;
        }
        Some(())
    }
}

impl State {
    /// When no window is open, and nothing is noted, the older of two tokens ends the grant.
    fn of_two_one_is_found_out(&self) -> bool {
        let (Some(Token::Generation(thief)), Token::Generation(client)) = (self.thief, self.client) else {
            return true;
        };
        let Row::Live { generation, .. } = self.row else { return true };
        if thief == client {
            return true;
        }
        let mut later = self.clone();
        later.now = TICKS + 8;
        later.gives_again(Token::Generation(thief.min(client))) == Judged::Replayed
            || thief.max(client) > generation
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Every state that can be reached.
fn check(world: World) -> impl Checker<World> {
    let checker = world.checker().threads(2).spawn_bfs().join();
    println!("{world}: {} states", checker.unique_state_count());
    checker
}

const HONEST: World =
    World { notes: true, thief: false, redis_may_be_lost: false, replicas_may_be_killed: false };
const LOGGED_OUT: &str = "no client is logged out that does what it is told";

#[test]
fn nobody_is_logged_out_for_obeying_a_503_and_thieves_are_found_out() {
    for world in [HONEST, World { replicas_may_be_killed: true, ..HONEST }, World { thief: true, ..HONEST }] {
        check(world).assert_properties();
    }
}

#[test]
fn without_notes_a_client_that_obeys_a_503_is_logged_out() {
    check(World { notes: false, ..HONEST }).assert_any_discovery(LOGGED_OUT);
}

/// What cannot be had: the note is in one replica alone, and before the database knows of it another is asked, or that one dies.
#[test]
fn without_redis_a_client_is_logged_out_that_comes_back_at_another_replica_or_after_a_kill() {
    let path = check(World { redis_may_be_lost: true, ..HONEST }).assert_any_discovery(LOGGED_OUT);
    println!("{path}");
}
