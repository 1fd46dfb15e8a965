//! Tasks: submit, look, wait, change.

use std::fmt::Display;

use protocol::output_stream::OutputPlace;
use protocol::query::{OutputQuery, PageQuery, TaskQuery};
use protocol::{
    AttemptView, CancelTask, EventView, ExplainView, Items, OutputView, Page, PatchTask, Redrive,
    RedriveAnswer, SubmitMany, SubmitTask, SubmittedItem, TaskView,
};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;
use crate::follow::Follow;

impl Client {
    /// `POST /tasks`. With an idempotency key it may be repeated after [`Error::Unreachable`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn submit(&self, task: &SubmitTask, key: Option<&str>) -> Result<Answer<TaskView>, Error> {
        self.call(Call::new(Method::POST, &["tasks"]).body(task)?.idempotency_key(key)).await
    }

    /// `POST /tasks/bulk`. With an idempotency key it may be repeated after [`Error::Unreachable`].
    ///
    /// # Errors
    /// See [`Error`]; what is wrong with a single task stands in its item.
    pub async fn submit_many(
        &self,
        tasks: &SubmitMany,
        key: Option<&str>,
    ) -> Result<Answer<Items<SubmittedItem>>, Error> {
        self.call(Call::new(Method::POST, &["tasks", "bulk"]).body(tasks)?.idempotency_key(key)).await
    }

    /// `GET /tasks`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tasks(&self, query: &TaskQuery) -> Result<Answer<Page<TaskView>>, Error> {
        self.call(Call::new(Method::GET, &["tasks"]).query(query.pairs())).await
    }

    /// `GET /tasks/{id}`, with input and result.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task(&self, id: impl Display) -> Result<Answer<TaskView>, Error> {
        self.call(Call::new(Method::GET, &["tasks", &id.to_string()])).await
    }

    /// `GET /tasks/{id}/attempts`, the latest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn attempts(
        &self,
        id: impl Display,
        query: &PageQuery,
    ) -> Result<Answer<Page<AttemptView>>, Error> {
        self.call(Call::new(Method::GET, &["tasks", &id.to_string(), "attempts"]).query(query.pairs())).await
    }

    /// `GET /tasks/{id}/events`, the oldest first; the cursor is the `seq` to go on after.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn task_events(
        &self,
        id: impl Display,
        query: &PageQuery,
    ) -> Result<Answer<Page<EventView>>, Error> {
        self.call(Call::new(Method::GET, &["tasks", &id.to_string(), "events"]).query(query.pairs())).await
    }

    /// `GET /tasks/{id}/output`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn output(
        &self,
        id: impl Display,
        query: &PageQuery,
    ) -> Result<Answer<Page<OutputView>>, Error> {
        self.call(Call::new(Method::GET, &["tasks", &id.to_string(), "output"]).query(query.pairs())).await
    }

    /// `GET /tasks/{id}/output?follow=true`: what is written, as it is written, after this place of an earlier stream
    /// or from the beginning.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn follow_output(&self, id: impl Display, after: Option<OutputPlace>) -> Result<Follow, Error> {
        let id = id.to_string();
        let path = ["tasks", &id, "output"];
        let after = after.map(|place| place.to_string());
        let query = OutputQuery { follow: true, ..OutputQuery::default() };
        let call = Call::new(Method::GET, &path).query(query.pairs()).follows(after.as_deref());
        Ok(Follow::new(self.clone(), self.send("/api/v2", call).await?))
    }

    /// `POST /tasks/{id}/cancel`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, id: impl Display, force: bool) -> Result<Answer<TaskView>, Error> {
        let body = CancelTask { force };
        self.call(Call::new(Method::POST, &["tasks", &id.to_string(), "cancel"]).body(&body)?).await
    }

    /// `POST /tasks/{id}/retry`: puts a dead letter back.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn retry(&self, id: impl Display) -> Result<Answer<TaskView>, Error> {
        self.call(Call::new(Method::POST, &["tasks", &id.to_string(), "retry"])).await
    }

    /// `PATCH /tasks/{id}`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn patch_task(&self, id: impl Display, patch: &PatchTask) -> Result<Answer<TaskView>, Error> {
        self.call(Call::new(Method::PATCH, &["tasks", &id.to_string()]).body(patch)?).await
    }

    /// `GET /dead-letters`: failed tasks.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn dead_letters(&self, query: &TaskQuery) -> Result<Answer<Page<TaskView>>, Error> {
        self.call(Call::new(Method::GET, &["dead-letters"]).query(query.pairs())).await
    }

    /// `GET /tasks/{id}/explain`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn explain(&self, id: impl Display) -> Result<Answer<ExplainView>, Error> {
        self.call(Call::new(Method::GET, &["tasks", &id.to_string(), "explain"])).await
    }

    /// `POST /dead-letters/redrive`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn redrive(&self, redrive: &Redrive) -> Result<Answer<RedriveAnswer>, Error> {
        self.call(Call::new(Method::POST, &["dead-letters", "redrive"]).body(redrive)?).await
    }
}
