//! What travels over HTTP, `/api/v2`, and over WebSocket: requests, views and problems, with the conversions to and from the domain.
//!
//! ```text
//!   body bytes --request::read--> typed request --Request::check--> domain type | every broken rule at once
//!   domain type --> …View --serde--> body bytes
//! ```
//!
//! Invariant: a request with a field that is not of the contract is refused by the field's name; nothing is
//! ignored in silence.
//!
//! Invariant: what users hand in as JSON (input, result) passes through as raw bytes and is never re-encoded.
//!
//! Invariant: ids and times have one form on the wire: `task_…`/`agent_…` ([`text`]) and RFC 3339 in UTC with
//! microseconds and `Z` ([`time`]).
//!
//! Reading order: [`request`] (how a body is read), [`problem`] (how a refusal looks), then one module a noun:
//! [`submit_task`], [`task`], [`attempt`], [`report`], [`lease`], [`agent`], [`process_link`], [`workspace`],
//! [`output_stream`], [`live`] (the dashboard's WebSocket), [`worker_session`] (and [`worker_schema`]), [`queue`], [`event`], [`api_key`], [`system`], [`actor`], [`health`]; then the small ones: [`page`], [`query`],
//! [`figures`], [`object`], [`secret_text`], [`text`], [`time`], `whole`, and [`schemas`] (texts of one form, for the document).

pub mod actor;
pub mod agent;
pub mod api_key;
pub mod attempt;
pub mod event;
pub mod explain;
pub mod figures;
pub mod health;
pub mod lease;
pub mod live;
pub mod node;
pub mod object;
pub mod output_stream;
pub mod page;
pub mod performance;
pub mod problem;
pub mod process_link;
pub mod query;
pub mod queue;
pub mod redrive;
pub mod report;
pub mod request;
pub mod schemas;
pub mod secret_text;
pub mod submit_many;
pub mod submit_task;
pub mod system;
pub mod task;
pub mod text;
pub mod time;
mod whole;
pub mod worker_schema;
pub mod worker_session;
pub mod workspace;

pub use actor::{ActorErrorView, ActorView, ActorsView, ArbiterView, FailureView};
pub use agent::{AgentAsked, AgentChangeAsked, AgentView, PatchAgent, RegisterAgent};
pub use api_key::{ApiKeyAsked, ApiKeyView, CreateApiKey, KeyEnd};
pub use attempt::{AttemptView, OutputView};
pub use event::EventView;
pub use explain::{ExplainView, ReasonView};
pub use figures::{BackoffView, ErrorView, TimeoutsView, UsageView};
pub use health::{ComponentHealth, HealthStatus, HealthSummary, HealthView};
pub use lease::{AssignmentView, LeaseAnswer, LeaseRequest};
pub use node::NodeView;
pub use output_stream::{OutputEnd, OutputEvent};
pub use page::{Items, Page};
pub use performance::{
    PerformanceFigures, PerformanceQuery, PerformanceView, RANGE_MAX_S, RANGE_MIN_S, SpreadView,
};
pub use problem::{FieldError, ProblemCode, ProblemDetails};
pub use process_link::{
    LinkAsked, LinkLimits, LinkView, LinkWorkspace, PatchLink, ProcessLinkView, RegisterLink,
};
pub use query::{ActorQuery, EventQuery, OutputQuery, PageQuery, TaskQuery};
pub use queue::{PutQueue, QueueView};
pub use redrive::{Redrive, RedriveAnswer, RedriveAsked, RedriveFilter, RedrivenItem};
pub use report::{
    CompleteRequest, FailRequest, FinishAnswer, FinishItem, FinishMany, FinishedItem, HeartbeatAnswer,
    HeartbeatAsked, HeartbeatRequest, OutputAnswer, OutputRequest,
};
pub use request::{Request, Unreadable};
pub use secret_text::SecretText;
pub use submit_many::{SubmitMany, SubmittedItem};
pub use submit_task::{SubmitTask, UniqueView};
pub use system::{AgentCounts, LogView, RatesView, StateCountsView, SystemView};
pub use task::{CancelTask, PatchTask, ProgressView, TaskView};
pub use workspace::{AttemptWorkspaceView, PruneWorkspaces, PrunedView, WorkspaceView};
