//! Queues: look, pause, resume, limit.

use std::fmt::Display;

use protocol::query::PageQuery;
use protocol::{Page, PutQueue, QueueView};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;

impl Client {
    /// `GET /queues`, by name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn queues(&self, query: &PageQuery) -> Result<Answer<Page<QueueView>>, Error> {
        self.call(Call::new(Method::GET, &["queues"]).query(query.pairs())).await
    }

    /// `GET /queues/{name}`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn queue(&self, name: impl Display) -> Result<Answer<QueueView>, Error> {
        self.call(Call::new(Method::GET, &["queues", &name.to_string()])).await
    }

    /// `PUT /queues/{name}`: sets its limit.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put_queue(
        &self,
        name: impl Display,
        request: &PutQueue,
    ) -> Result<Answer<QueueView>, Error> {
        self.call(Call::new(Method::PUT, &["queues", &name.to_string()]).body(request)?).await
    }

    /// `POST /queues/{name}/pause`: it hands out nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn pause_queue(&self, name: impl Display) -> Result<Answer<QueueView>, Error> {
        self.call(Call::new(Method::POST, &["queues", &name.to_string(), "pause"])).await
    }

    /// `POST /queues/{name}/resume`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resume_queue(&self, name: impl Display) -> Result<Answer<QueueView>, Error> {
        self.call(Call::new(Method::POST, &["queues", &name.to_string(), "resume"])).await
    }
}
