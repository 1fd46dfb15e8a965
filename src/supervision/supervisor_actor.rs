//! The inside of a supervisor: what it does about exits, orders and time.

use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::guard::guarded;
use crate::node::{ChildExited, Exit, Order};
use crate::supervisor::SupervisorNode;
use crate::table::Phase;
use crate::turn::Turn;
use crate::{Fault, ShutdownReport, StopOutcome};

/// An order from the supervisor's own supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Obey(pub(crate) Order);

/// Commits an armed fault.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Look;

/// Ends the supervisor for good.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown {
    pub(crate) reply: oneshot::Sender<ShutdownReport>,
}

/// Ends one child for good.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopChild {
    pub(crate) id: Arc<str>,
    pub(crate) reply: oneshot::Sender<StopOutcome>,
}

/// See the module. A turn: take what came, change the table, then go on with what that allows.
pub(crate) struct SupervisorActor {
    node: Arc<SupervisorNode>,
}

impl SupervisorActor {
    pub(crate) fn new(node: Arc<SupervisorNode>) -> Self {
        Self { node }
    }

    /// Runs a turn. The callback about a child given up is called without the lock, for it may start children.
    fn turn(&self, actix: &mut Context<Self>, turn: impl FnOnce(&mut Turn<'_>)) {
        let (given_up, sleep, is_over) = {
            let mut table = self.node.table.lock();
            let mut this =
                Turn { node: &self.node, table: &mut table, now: Instant::now(), given_up: Vec::new() };
            turn(&mut this);
            this.go_on();
            let given_up = this.given_up;
            (given_up, table.agenda.arm(Instant::now()), table.phase == Phase::Stopped)
        };
        if let Some(sleep) = sleep {
            actix.run_later(sleep, Self::wake_up);
        }
        if let Some(on_give_up) = &self.node.plan.on_give_up {
            for given_up in given_up {
                if let Err(text) = guarded(|| on_give_up(given_up)) {
                    tracing::error!(supervisor.path = %self.node.entry.path(), error = %text, "on_give_up panicked");
                }
            }
        }
        if is_over {
            actix.stop();
        }
    }

    /// A method, because a closure in `turn` that calls `turn` would have no end of types.
    fn wake_up(&mut self, actix: &mut Context<Self>) {
        self.turn(actix, |turn| turn.keep_appointments());
    }
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, signal: ChildExited, actix: &mut Self::Context) {
        self.turn(actix, |turn| turn.child_exited(signal));
    }
}

impl Handler<Obey> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Obey(order): Obey, actix: &mut Self::Context) {
        self.turn(actix, |turn| match order {
            Order::Restart => turn.begin_again(),
            Order::Suspend { is_forced } => turn.suspend(Exit::Suspended, is_forced),
            Order::Stop { is_forced } => turn.finish(None, is_forced),
        });
    }
}

impl Handler<Look> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: Look, actix: &mut Self::Context) {
        match self.node.entry.take_fault() {
            Some(Fault::PanicInHandler) => Fault::PanicInHandler.commit(),
            Some(Fault::PanicInFuture) => {
                self.turn(actix, |turn| turn.fail(Arc::from("fault drill: escalation")))
            }
            None => {}
        }
    }
}

impl Handler<Shutdown> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Shutdown { reply }: Shutdown, actix: &mut Self::Context) {
        self.turn(actix, |turn| {
            turn.table.waiters.push(reply);
            turn.finish(None, false);
        });
    }
}

impl Handler<StopChild> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, StopChild { id, reply }: StopChild, actix: &mut Self::Context) {
        self.turn(actix, |turn| turn.stop_child(&id, reply));
    }
}

impl Drop for SupervisorActor {
    /// Runs without an orderly end when the arbiter ended, or when a bug of ours panicked in a turn.
    fn drop(&mut self) {
        if self.node.table.lock().phase == Phase::Stopped {
            return;
        }
        let text: Arc<str> = Arc::from("the supervisor itself ended");
        self.node.entry.set_error(&text);
        self.node.abandon();
        if let Some(failure) = &self.node.failure {
            failure.send_replace(Some(Arc::clone(&text)));
        }
        self.node.owner.tell(Exit::Failed(text), true, Vec::new());
    }
}
