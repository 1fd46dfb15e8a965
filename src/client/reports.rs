//! What the holder of an attempt reports.

use std::fmt::Display;

use protocol::{
    CompleteRequest, FailRequest, FinishAnswer, FinishMany, FinishedItem, HeartbeatAnswer, HeartbeatRequest,
    Items, OutputAnswer, OutputRequest,
};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;

impl Client {
    /// `POST /tasks/{id}/heartbeat`: renews the lease.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn heartbeat(
        &self,
        id: impl Display,
        heartbeat: &HeartbeatRequest,
    ) -> Result<Answer<HeartbeatAnswer>, Error> {
        self.call(Call::new(Method::POST, &["tasks", &id.to_string(), "heartbeat"]).body(heartbeat)?).await
    }

    /// `POST /tasks/{id}/output`: appends a piece of output.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn append_output(
        &self,
        id: impl Display,
        output: &OutputRequest,
    ) -> Result<Answer<OutputAnswer>, Error> {
        self.call(Call::new(Method::POST, &["tasks", &id.to_string(), "output"]).body(output)?).await
    }

    /// `POST /tasks/{id}/complete`. A repeat is answered the same.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn complete(
        &self,
        id: impl Display,
        complete: &CompleteRequest,
    ) -> Result<Answer<FinishAnswer>, Error> {
        self.call(Call::new(Method::POST, &["tasks", &id.to_string(), "complete"]).body(complete)?).await
    }

    /// `POST /tasks/{id}/fail`. A repeat is answered the same.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn fail(&self, id: impl Display, fail: &FailRequest) -> Result<Answer<FinishAnswer>, Error> {
        self.call(Call::new(Method::POST, &["tasks", &id.to_string(), "fail"]).body(fail)?).await
    }

    /// `POST /leases/complete`: ends many attempts, answered one by one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish_many(&self, many: &FinishMany) -> Result<Answer<Items<FinishedItem>>, Error> {
        self.call(Call::new(Method::POST, &["leases", "complete"]).body(many)?).await
    }
}
