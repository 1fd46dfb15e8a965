//! Query parameters of lists: read from pairs strictly, written as pairs by clients.

use domain::{AgentId, Name, Review, TaskId, TaskState, Timestamp, Violations};
use utoipa::IntoParams;

use crate::live::client::Place;
use crate::live::topic::Root;
use crate::output_stream::OutputPlace;
use crate::page::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::request::Unreadable;
use crate::schemas::LabelFilterText;
use crate::time;

/// Parameters as they stand in a URL, decoded.
pub type Pairs = Vec<(String, String)>;

/// Parameters of a plain list.
#[derive(Debug, Clone, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items of a page, 1 to 200; 50 when missing.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Parameters of `GET /tasks`, and without `state` of `GET /dead-letters`.
#[derive(Debug, Clone, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskQuery {
    /// In this state.
    #[param(value_type = Option<crate::schemas::TaskStateText>)]
    pub state: Option<TaskState>,
    /// In this queue.
    #[param(value_type = Option<crate::schemas::NameText>)]
    pub queue: Option<Name>,
    /// Held (now or last) by this agent.
    #[param(value_type = Option<crate::schemas::AgentIdText>)]
    pub agent_id: Option<AgentId>,
    /// Of this kind.
    #[param(value_type = Option<crate::schemas::NameText>)]
    pub kind: Option<Name>,
    /// With this label, `key=value` or `key:value`; may stand several times, then all must fit.
    #[param(value_type = Option<Vec<LabelFilterText>>)]
    pub label: Vec<(Name, String)>,
    /// Accepted after this moment, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    pub created_after: Option<Timestamp>,
    /// Accepted before this moment, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    pub created_before: Option<Timestamp>,
    /// Items of a page, 1 to 200; 50 when missing.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<crate::schemas::TaskIdText>)]
    pub cursor: Option<TaskId>,
}

/// Parameters of `GET /events`.
#[derive(Debug, Clone, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Events after this `seq`; 0 when missing, which is the oldest stored one.
    #[param(minimum = 0)]
    pub after: Option<i64>,
    /// Items of a page, 1 to 200; 50 when missing.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before; excludes `after`.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,18}$")]
    pub cursor: Option<i64>,
}

/// Parameters of `GET /events/stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventStreamQuery {
    /// Events after this `seq`; from now on when missing. `Last-Event-ID` goes before it.
    #[param(minimum = 0)]
    pub after: Option<i64>,
}

impl EventStreamQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let read = Self {
            after: params.with("after", |text| {
                text.parse().ok().filter(|seq| *seq >= 0).ok_or("must be a whole number from 0 on")
            }),
        };
        params.finish().map(|()| read)
    }

    /// As they stand in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        pairs([("after", self.after.map(|after| after.to_string()))])
    }
}

/// Parameters of a handshake of a WebSocket session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionQuery {
    /// Topics as they are written, with commas between them; the place's usual ones when missing, none when empty.
    pub subscriptions: Option<Vec<String>>,
    /// Where to take up the log.
    pub resume: Option<Place>,
    /// Be closed rather than told when it does not keep up.
    pub strict: bool,
}

impl SessionQuery {
    /// Reads them. `access_token` is known and left to whoever checks the login.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let _: Option<String> = params.text("access_token");
        let read = Self {
            subscriptions: params.text("subscriptions").map(|text| match text.trim() {
                "" => Vec::new(),
                topics => topics.split(',').map(str::to_owned).collect(),
            }),
            resume: params
                .with("resume", |text| Place::read(text).ok_or("must be a place like EPOCH:OFFSET")),
            strict: params.with("strict", read_bool).unwrap_or(false),
        };
        params.finish().map(|()| read)
    }
}

/// Parameters of `POST /api/dashboard/websocket/broadcast`.
#[derive(Debug, Clone, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BroadcastQuery {
    /// Who hears it: the sessions that are subscribed to this topic, or to a part of it; `system` when missing.
    #[param(value_type = Option<String>, pattern = "^(agents|alerts|coordination|project_index|system|tasks)$")]
    pub subscription: Root,
    /// What it is, for the clients; `notice` when missing.
    #[param(value_type = Option<String>, pattern = "^[a-z][a-z0-9_]{0,63}$")]
    pub message_type: String,
}

impl BroadcastQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let topic =
            |text: &str| Root::ALL.into_iter().find(|root| root.as_str() == text).ok_or("is no topic");
        let word = |text: &str| {
            let is_word = text.len() <= 64
                && text.starts_with(|first: char| first.is_ascii_lowercase())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            is_word
                .then(|| text.to_owned())
                .ok_or("must be 1 to 64 characters of a-z, 0-9 and '_', a letter first")
        };
        let read = Self {
            subscription: params.with("subscription", topic).unwrap_or(Root::System),
            message_type: params.with("message_type", word).unwrap_or_else(|| "notice".to_owned()),
        };
        params.finish().map(|()| read)
    }
}

/// Parameters of `GET /tasks/{id}/output`.
#[derive(Debug, Clone, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutputQuery {
    /// Items of a page, 1 to 200; 50 when missing. Excludes `follow`.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, or the id of the last event that came.
    #[param(value_type = Option<String>, pattern = r"^[0-9]{1,9}\.[0-9]{1,9}$")]
    pub cursor: Option<OutputPlace>,
    /// `true` answers with a stream of events that goes on until the task has ended.
    #[param(value_type = Option<bool>)]
    pub follow: bool,
}

/// Parameters of `GET /system/actors`.
#[derive(Debug, Clone, PartialEq, Eq, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActorQuery {
    /// Only paths that begin with this.
    pub prefix: Option<String>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Actors shown, 1 to 10000; 1000 when missing.
    #[param(minimum = 1, maximum = 10000)]
    pub limit: Option<u32>,
}

impl ActorQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let read = Self {
            prefix: params.text("prefix"),
            kind: params.text("kind"),
            limit: params.with("limit", |text| {
                text.parse()
                    .ok()
                    .filter(|limit| (1..=10_000).contains(limit))
                    .ok_or("must be from 1 to 10000")
            }),
        };
        params.finish().map(|()| read)
    }

    /// As they stand in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        let limit = self.limit.map(|limit| limit.to_string());
        pairs([("prefix", self.prefix.clone()), ("kind", self.kind.clone()), ("limit", limit)])
    }
}

impl PageQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let read = Self { limit: params.limit(), cursor: params.text("cursor") };
        params.finish().map(|()| read)
    }

    /// Items of a page.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// As they stand in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        let limit = self.limit.map(|limit| limit.to_string());
        pairs([("limit", limit), ("cursor", self.cursor.clone())])
    }
}

impl TaskQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let state = params.with("state", read_state);
        Self::read_rest(params, state)
    }

    /// Reads them where the state is given by the route.
    ///
    /// # Errors
    /// As [`TaskQuery::read`]; `state` is unknown here.
    pub fn read_in_state(pairs: Pairs, state: TaskState) -> Result<Self, Unreadable> {
        Self::read_rest(Params::new(pairs), Some(state))
    }

    fn read_rest(mut params: Params, state: Option<TaskState>) -> Result<Self, Unreadable> {
        let read = Self {
            state,
            queue: params.parse("queue"),
            agent_id: params.parse("agent_id"),
            kind: params.parse("kind"),
            label: params.labels(),
            created_after: params.with("created_after", time::read),
            created_before: params.with("created_before", time::read),
            limit: params.limit(),
            cursor: params.with("cursor", read_cursor),
        };
        params.finish().map(|()| read)
    }

    /// Items of a page.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// As they stand in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        let mut all = pairs([
            ("state", self.state.map(|state| state.as_str().to_owned())),
            ("queue", self.queue.as_ref().map(ToString::to_string)),
            ("agent_id", self.agent_id.map(|id| id.to_string())),
            ("kind", self.kind.as_ref().map(ToString::to_string)),
            ("created_after", self.created_after.map(time::show)),
            ("created_before", self.created_before.map(time::show)),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.map(|id| id.to_string())),
        ]);
        all.extend(self.label.iter().map(|(key, value)| ("label".to_owned(), format!("{key}={value}"))));
        all
    }
}

impl EventQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let read = Self {
            after: params.with("after", read_seq),
            limit: params.limit(),
            cursor: params.with("cursor", |text| read_seq(text).map_err(|_| BROKEN_CURSOR)),
        };
        let is_one = read.after.is_none() || read.cursor.is_none();
        params.review.require(is_one, "cursor", "cannot stand beside after: name one of them");
        params.finish().map(|()| read)
    }

    /// The `seq` after which the page begins.
    #[must_use]
    pub fn after(&self) -> i64 {
        self.cursor.or(self.after).unwrap_or(0)
    }

    /// Items of a page.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// As they stand in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        pairs([
            ("after", self.after.map(|seq| seq.to_string())),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.map(|seq| seq.to_string())),
        ])
    }
}

impl OutputQuery {
    /// Reads them.
    ///
    /// # Errors
    /// [`Unreadable`] names every unknown, repeated or broken parameter.
    pub fn read(pairs: Pairs) -> Result<Self, Unreadable> {
        let mut params = Params::new(pairs);
        let read = Self {
            limit: params.limit(),
            cursor: params.parse("cursor"),
            follow: params.with("follow", read_bool).unwrap_or(false),
        };
        let is_one = !read.follow || read.limit.is_none();
        params.review.require(is_one, "limit", "cannot stand beside follow: a stream has no pages");
        params.finish().map(|()| read)
    }

    /// Items of a page.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// As they stand in a URL, not yet encoded.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        pairs([
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor.map(|place| place.to_string())),
            ("follow", self.follow.then(|| "true".to_owned())),
        ])
    }
}

/// Refuses every parameter, for routes that know none.
///
/// # Errors
/// [`Unreadable`] names each of them.
pub fn read_none(pairs: Pairs) -> Result<(), Unreadable> {
    Params::new(pairs).finish()
}

/// What is wrong with a cursor: it is opaque, so nothing more can be said.
pub const BROKEN_CURSOR: &str = "is not a cursor of this list";

fn read_cursor<T: std::str::FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| BROKEN_CURSOR)
}

fn read_seq(text: &str) -> Result<i64, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or("must be a whole number that is not negative")
}

fn read_bool(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "must be true or false")
}

fn read_state(text: &str) -> Result<TaskState, &'static str> {
    TaskState::ALL
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or("must be scheduled, queued, working, completed, failed or canceled")
}

pub(crate) fn pairs<const N: usize>(named: [(&str, Option<String>); N]) -> Pairs {
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Takes known parameters out; what is left in the end is unknown.
pub(crate) struct Params {
    rest: Pairs,
    review: Review,
}

impl Params {
    pub(crate) fn new(pairs: Pairs) -> Self {
        Self { rest: pairs, review: Review::new() }
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.rest).into_iter().partition(|(key, _)| key == name);
        self.rest = rest;
        let taken: Pairs = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        self.review.require(values.len() < 2, name, "may stand only once");
        values.pop()
    }

    pub(crate) fn with<T, E: ToString>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        read(&text).map_err(|error| self.review.note(name, error.to_string())).ok()
    }

    fn parse<T: std::str::FromStr<Err: ToString>>(&mut self, name: &str) -> Option<T> {
        self.with(name, str::parse)
    }

    fn limit(&mut self) -> Option<u32> {
        self.with("limit", |text| {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or("must be from 1 to 200")
        })
    }

    fn labels(&mut self) -> Vec<(Name, String)> {
        let mut labels = Vec::new();
        for text in self.all("label") {
            let read = text.split_once(['=', ':']).map(|(key, value)| (key.parse(), value));
            match read {
                Some((Ok(key), value)) => labels.push((key, value.to_owned())),
                Some((Err(_), _)) | None => self.review.note("label", "must be of the form key=value"),
            }
        }
        labels
    }

    pub(crate) fn finish(self) -> Result<(), Unreadable> {
        let mut review = self.review;
        for (name, _) in &self.rest {
            review.note(name.as_str(), "is not a parameter of this route");
        }
        match review.finish() {
            Ok(()) => Ok(()),
            Err(violations) if self.rest.is_empty() => Err(Unreadable::InvalidValue(violations)),
            Err(Violations(broken)) => Err(Unreadable::UnknownField(Violations(broken))),
        }
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
