//! Worktrees on the hive's machine: look, clean up.

use protocol::{Items, PruneWorkspaces, PrunedView, WorkspaceView};
use reqwest::Method;

use crate::answer::Answer;
use crate::call::{Call, Client};
use crate::error::Error;

impl Client {
    /// `GET /workspaces`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn workspaces(&self) -> Result<Answer<Items<WorkspaceView>>, Error> {
        self.call(Call::new(Method::GET, &["workspaces"])).await
    }

    /// `POST /workspaces/prune`: removes those that nobody uses; with `force` those with uncommitted work, too.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn prune_workspaces(&self, force: bool) -> Result<Answer<Items<PrunedView>>, Error> {
        let body = PruneWorkspaces { force };
        self.call(Call::new(Method::POST, &["workspaces", "prune"]).body(&body)?).await
    }
}
