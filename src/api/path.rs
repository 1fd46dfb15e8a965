//! Ids and names in paths: what is not of that form cannot exist, so it is not found.

use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::{AgentId, ApiKeyId, Name, TaskId};

use crate::address;
use crate::problem::Problem;

/// Something that a path segment can name.
pub(crate) trait InPath: FromStr + Display {
    /// What it is called in a sentence.
    const WHAT: &'static str;
}

impl InPath for TaskId {
    const WHAT: &'static str = "task";
}

impl InPath for AgentId {
    const WHAT: &'static str = "agent";
}

impl InPath for ApiKeyId {
    const WHAT: &'static str = "API key";
}

impl InPath for Name {
    const WHAT: &'static str = "queue";
}

/// The `{id}` or `{name}` of a path.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: InPath> Named<T> {
    /// It is well-formed, but there is none.
    pub(crate) fn not_found(&self) -> Problem {
        Problem::not_found(T::WHAT, &self.0)
    }
}

impl<T: InPath> FromRequest for Named<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = address::variable(request.path()).unwrap_or_default();
        ready(read(text).map(Self))
    }
}

/// Reads an id that stands in a path, or in a list where each item has its own answer.
pub(crate) fn read<T: InPath>(text: &str) -> Result<T, Problem> {
    // What is no id may be of any length; nobody needs to read all of it again.
    text.parse().map_err(|_| Problem::not_found(T::WHAT, text.chars().take(64).collect::<String>()))
}
