//! The group-commit writer as others see it: a handle that sends commands, and the loop that applies them.

mod queue;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use domain::{Event, LaneId, LaneSpec};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::command::{Command, SubmitMany, Write};
use crate::error::{OpenError, WriteError};
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::port::BatchWriter;
use queue::{Envelope, Queue, Reply};

/// How long [`WriterHandle::passed`] waits before it tries a full queue again.
const FULL_AGAIN: Duration = Duration::from_millis(10);

/// What one commit left behind.
#[derive(Debug, Default)]
pub struct CommitNotice {
    /// The new events, in `seq` order and without a gap to those before.
    pub events: Vec<Event>,
    /// Lanes that were interned; they are named by these events for the first time.
    pub new_lanes: Vec<(LaneId, Arc<LaneSpec>)>,
}

impl CommitNotice {
    /// The `seq` of the first event, when there is one.
    #[must_use]
    pub fn first_seq(&self) -> Option<i64> {
        self.events.first().map(|event| event.seq)
    }
}

/// Called with each commit that left events or lanes behind.
pub type CommitSink = Box<dyn Fn(Arc<CommitNotice>) + Send + Sync>;

/// Called when the database was opened again, before anything is written to it.
pub type ReopenSink = Box<dyn Fn() + Send + Sync>;

/// Why the writer's loop gave up; run it again.
#[derive(Debug, thiserror::Error)]
pub enum WriteLoopError {
    /// The database cannot be opened.
    #[error("the writer cannot open the database")]
    Open(#[from] OpenError),
}

/// What one turn of the loop did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing waited.
    Idle,
    /// What waited was committed and answered.
    Committed,
    /// What waited was answered with [`WriteError::Unavailable`]: the database has to be opened anew.
    OutOfReach,
}

/// Opens the database for one run of the loop, on the thread that runs it.
pub(crate) type Opener = Box<dyn Fn() -> Result<Box<dyn BatchWriter>, OpenError> + Send + Sync>;

/// What handles and runs share.
struct Shared {
    queue: Queue,
    open: Opener,
    sink: Mutex<Option<Arc<CommitSink>>>,
    reopen_sink: Mutex<Option<Arc<ReopenSink>>>,
    /// Whether the database was open before.
    was_open: AtomicBool,
    /// Held by the one run that goes on.
    turn: Mutex<()>,
    is_open: AtomicBool,
    /// The last event that is committed, as far as this process has committed it.
    committed_seq: AtomicI64,
    /// A batch that takes this long to be committed is told of.
    slow: Duration,
    metrics: Metrics,
}

impl Shared {
    /// Opens the database. Whoever listens hears of it when that is not the first time: the connection before may have
    /// committed what it told nobody of.
    fn open(&self) -> Result<Box<dyn BatchWriter>, OpenError> {
        let writer = (self.open)()?;
        if self.was_open.swap(true, Ordering::AcqRel) {
            let sink = self.reopen_sink.lock().clone();
            if let Some(sink) = sink {
                sink();
            }
        }
        Ok(writer)
    }
}

/// A handle and a loop with a queue of `capacity` commands between them.
pub(crate) fn writer(
    capacity: usize,
    slow: Duration,
    metrics: Metrics,
    open: Opener,
) -> (WriterHandle, WriterLoop) {
    let shared = Arc::new(Shared {
        queue: Queue::new(capacity),
        open,
        sink: Mutex::new(None),
        reopen_sink: Mutex::new(None),
        was_open: AtomicBool::new(false),
        turn: Mutex::new(()),
        is_open: AtomicBool::new(false),
        committed_seq: AtomicI64::new(0),
        slow,
        metrics,
    });
    (WriterHandle(Arc::clone(&shared)), WriterLoop(shared))
}

/// Sends commands to the writer. Cheap to clone.
#[derive(Clone)]
pub struct WriterHandle(Arc<Shared>);

impl WriterHandle {
    /// Sends a command and waits until it is committed.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] at once when the queue is full; nothing was written then. The others as they say.
    pub async fn apply<C: Write>(&self, command: C) -> Result<C::Answer, WriteError> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have gone; the command was applied all the same.
        self.send(command, |result| drop(reply.send(result)))?;
        answer.await.unwrap_or_else(|_| Err(WriteError::Unavailable("the writer has gone".to_owned())))
    }

    /// Sends a command; `then` is called on the writer's thread once it is committed or has failed, so it must be
    /// short and must not wait.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] when the queue is full and [`WriteError::NotBegun`] when the writer has stopped
    /// for good; nothing was written then, and `then` is dropped without being called.
    pub fn send<C: Write>(
        &self,
        command: C,
        then: impl FnOnce(Result<C::Answer, WriteError>) + Send + 'static,
    ) -> Result<(), WriteError> {
        self.push(command.into(), Reply::new(move |result| then(answered::<C>(result))))
    }

    /// As [`send`](Self::send), on behalf of `asker`: once nobody waits for it any more, the command is not begun, and as long
    /// as the database is away whoever waits is told so at once; `then` hears [`WriteError::NotBegun`] of both. A command that
    /// is begun when its asker goes is applied all the same.
    ///
    /// # Errors
    /// As [`send`](Self::send); `asker` is dropped, too.
    pub fn send_for<C: Write, R: Send + 'static>(
        &self,
        asker: oneshot::Sender<R>,
        command: C,
        then: impl FnOnce(oneshot::Sender<R>, Result<C::Answer, WriteError>) + Send + 'static,
    ) -> Result<(), WriteError> {
        let reply = Reply::to(asker, move |asker, result| then(asker, answered::<C>(result)));
        self.push(command.into(), reply)
    }

    fn push(&self, command: Command, reply: Reply) -> Result<(), WriteError> {
        let kind = command.kind();
        let sent = self.0.queue.push(Envelope { command, reply });
        if matches!(sent, Err(WriteError::Overloaded)) {
            self.0.metrics.writer_commands.with_label_values(&[kind, "overloaded"]).inc();
        }
        sent
    }

    /// Waits until everything that was sent before has been answered, and a commit after it. It takes its turn like a
    /// command, and waits as long as the queue is full.
    ///
    /// # Errors
    /// [`WriteError::Unavailable`] when there was no such commit: of what was sent before, something may still come.
    pub async fn passed(&self) -> Result<(), WriteError> {
        loop {
            match self.apply(SubmitMany { tasks: Vec::new() }).await {
                Err(WriteError::Overloaded) => tokio::time::sleep(FULL_AGAIN).await,
                answer => return answer.map(drop),
            }
        }
    }

    /// The last event of this process's commits; 0 before the first. It is set before a commit is answered.
    #[must_use]
    pub fn committed_seq(&self) -> i64 {
        self.0.committed_seq.load(Ordering::Acquire)
    }

    /// Whether a run of the loop holds the database open, so that something can be written.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Acquire)
    }

    /// How many commands wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.queue.len()
    }
}

/// An outcome as the answer to its command.
fn answered<C: Write>(result: Result<Outcome, WriteError>) -> Result<C::Answer, WriteError> {
    let other = || WriteError::Unavailable("the writer answered another question".to_owned());
    C::answer(result?).ok_or_else(other)
}

/// The body of the supervised writer thread. Cheap to clone; the queue outlives every run.
#[derive(Clone)]
pub struct WriterLoop(Arc<Shared>);

impl WriterLoop {
    /// Sets who is told of commits, in place of the one before. It is called on the writer's thread after the commit
    /// is durable and after the replies were sent; when it panics, the run ends.
    pub fn on_commit(&self, sink: CommitSink) {
        *self.0.sink.lock() = Some(Arc::new(sink));
    }

    /// Sets who is told, in place of the one before, that the database was opened again, within a run or by a later one.
    /// What was committed before may be there without a notice: the answer to a COMMIT was lost, or the run died between
    /// the two. It is called on the writer's thread before the next batch.
    pub fn on_reopen(&self, sink: ReopenSink) {
        *self.0.reopen_sink.lock() = Some(Arc::new(sink));
    }

    /// Opens the database and applies batches until `is_stopping` and the queue is drained. `checkpoint` is called
    /// between batches, at least ten times a second. When the database is out of reach (disk full, I/O), the batch is
    /// answered with [`WriteError::Unavailable`] and the database is opened anew within this run. May be called again
    /// after it returned or panicked; a second run at the same time waits for the first.
    ///
    /// A disk that does not confirm a sync ends the process: nobody knows what it holds, and a start reads the truth.
    ///
    /// A database that was open in this run and went away is opened again until that succeeds, at most two seconds after
    /// one another. Whoever asks for something meanwhile ([`WriterHandle::send_for`]) is told so; the rest waits.
    ///
    /// # Errors
    /// When the database cannot be opened in the first place; what waits in the queue keeps waiting for the next run.
    pub fn run(&self, checkpoint: &dyn Fn(), is_stopping: &dyn Fn() -> bool) -> Result<(), WriteLoopError> {
        run::run(&self.0, checkpoint, is_stopping)
    }

    /// Opens the database for whoever takes the turns instead of a run.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(&self) -> Result<Box<dyn BatchWriter>, WriteLoopError> {
        Ok(self.0.open()?)
    }

    /// One turn: applies what waits as one batch, without waiting for more. For whoever drives the loop by hand, with a
    /// database that [`WriterLoop::open`] opened.
    pub fn turn(&self, writer: &mut dyn BatchWriter) -> Turn {
        run::turn(&self.0, writer, Duration::ZERO)
    }

    /// Whether a run holds the database open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Acquire)
    }
}
